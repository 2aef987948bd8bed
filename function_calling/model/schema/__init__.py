"""JSON Schema as a constraint: an end for every value, and the places that can't be enforced."""

from function_calling.model.schema.enforcement import enforceable, enforceable_value
from function_calling.model.schema.keywords import Budget, Schema, binds

__all__ = ["Budget", "Schema", "binds", "enforceable", "enforceable_value"]
