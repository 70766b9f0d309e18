"""The base every API view stands on."""
