"""Names of currencies that CLDR lacks: slang, short forms, symbols, other languages' endings."""

EVERYDAY_NAMES = {
    "USD": "bucks, buck, greenbacks, greenback, American dollars, American dollar, "
    "United States dollars, United States dollar, 米国ドル",
    "AED": "दिरहम",
    "CAD": "loonies, loonie, CAN$, 加元, 加币",
    "EUR": "avro, eura, eurima, eurus, eurot, euroja, euroina, euroissa, euroksi, "
    "euroba, euroban, eurora",
    "GBP": "quid, pounds sterling, pound sterling, UK pounds, UK pound",
    "AUD": "Aussie dollars, Aussie dollar, 澳元, 澳币, đô la Úc, đô Úc",
    "VND": "tiền Việt",
    "CNY": "RMB, renminbi, 块, 圆, 人民元, 위안, หยวน",
    "JPY": "円, 日圆, 日币, 엔, เยน",
    "KRW": "韩币, 원화, 한국 돈, 한국 돈으로",
    "HKD": "港元, 港币",
    "TWD": "台币, 台幣, 新台币",
    "SGD": "S$, 新元, 新币",
    "NZD": "纽元, 纽币",
    "INR": "Rs",
    "CHF": "SFr, Fr, Franken",
    "TRY": "TL",
    "CZK": "crowns, crown",
    **dict.fromkeys(("SEK", "NOK", "DKK", "ISK"), "kr, crowns, crown"),
}
"""For each ISO 4217 code, separated by commas; they count as English names."""
