"""Forms that exist to be looked at: every kind of field, with and without errors."""

from django import forms

TASKS = [("", "Decide from the target"), ("classification", "Classification"), ("regression", "Regression")]
RIGHTS = ["data.read", "data.write", "models.read", "models.call"]
GRID = [
    {"label": "Data", "note": "Datasets and their versions.", "cells": [[("data.read", "")], [("data.write", "")], []]},
    {"label": "Models", "note": "", "cells": [[("models.read", "")], [], [("models.call", "call")]]},
]


class SampleForm(forms.Form):
    name = forms.CharField(max_length=40, help_text="Shown in lists and in the address of the endpoint.")
    task = forms.ChoiceField(choices=TASKS, required=False)
    folds = forms.IntegerField(min_value=2, max_value=20, help_text="Between 2 and 20.")
    notes = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), required=False)
    zone = forms.CharField(label="Time zone", required=False, widget=forms.TextInput(attrs={"list": "zones"}))
    notify = forms.BooleanField(required=False, label="Send an email when it ends")
    candidates = forms.MultipleChoiceField(
        choices=[("linear", "Logistic regression"), ("lightgbm", "LightGBM"), ("extra_trees", "Extra trees")],
        widget=forms.CheckboxSelectMultiple,
    )
    rights = forms.MultipleChoiceField(
        label="What it may do", choices=[(name, name) for name in RIGHTS], initial=["data.read", "models.call"]
    )
    grid = GRID

    def clean(self) -> None:
        if self.cleaned_data.get("name") == "refuse me":
            raise forms.ValidationError("Another run with this name is still going. Wait for it or choose a new name.")


class SampleUpload(forms.Form):
    file = forms.FileField(help_text="CSV in UTF-8, up to 1 GB.")
