"""What every client asks: few words, which a small model on two cores reads and answers quickly."""

from pydantic import BaseModel

MOST_TOKENS = 100
TIMEOUT = 300

QUESTION = "What is the weather in Paris?"
FACT = "Ada is 36 years old."


class Person(BaseModel):
    """A person."""

    name: str
    age: int


ADA = Person(name="Ada", age=36)


class GetWeather(BaseModel):
    """Get the weather in a city."""

    city: str


class Weather:
    """A tool that keeps in mind which cities it was asked for."""

    def __init__(self) -> None:
        self.cities: list[str] = []

    def get_weather(self, city: str) -> str:
        """Get the weather in a city."""
        self.cities.append(city)
        return "18 degrees and rain"
