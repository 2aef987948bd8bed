"""`Llama` as BentoML serves it, with the model of `fuzzing`.

bentoml serve odd_llama:Llama --working-dir tests
"""

from fuzzing import odd_model

import service
from function_calling.model.chat_model import ChatModel
from function_calling.settings import Settings


def _load(_: Settings) -> ChatModel:
    return odd_model()


service.load_chat_model = _load
Llama = service.Llama
