"""The form of a DAG against the recipe's schema, and what of it becomes an override."""

import pytest

from voxmill.orchestration.form import ALLOW_DIRTY, chosen, defaults, params

FORM = [
    {
        "key": "train.seed",
        "section": "train",
        "schema": {"type": "integer", "minimum": 0, "default": 1, "description": "Seeds."},
    },
    {
        "key": "train.max_steps",
        "section": "train",
        "schema": {"type": ["integer", "null"], "minimum": 1, "default": None},
    },
    {
        "key": "evaluate.decoder",
        "section": "evaluate",
        "schema": {"type": "string", "enum": ["greedy", "beam"], "default": None},
    },
]


def test_a_field_keeps_its_rules_its_default_and_its_help():
    """Rule: Airflow's form knows what the recipe knows."""
    seed = params(FORM)["train.seed"]
    assert seed.value == 1
    assert seed.description == "Seeds."
    assert seed.schema == {"type": "integer", "minimum": 0, "section": "train", "title": "seed"}


def test_a_field_is_labelled_in_words():
    """Rule: the section stands above its fields, and a label breaks between words."""
    field = {"key": "train.augment.time_mask_share", "section": "train", "schema": {}}
    label = params([field])["train.augment.time_mask_share"].schema["title"]
    assert label == "augment: time mask share"


def test_the_schedule_is_not_asked_of_a_run_that_starts_now():
    """Rule: a form holds only what can change the run that it starts."""
    cron = {"key": "schedule.cron", "section": "schedule", "schema": {"default": None}}
    assert set(params([*FORM, cron])) == {*defaults(FORM), ALLOW_DIRTY}


def test_every_field_may_be_left_as_it_is():
    """Rule: nothing in the form is required; each default keeps the field's own rules."""
    for key, param in params(FORM).items():
        assert param.resolve() == {**defaults(FORM), ALLOW_DIRTY: False}[key]


def test_a_field_without_a_value_takes_null_beside_its_choices():
    """Rule: Airflow's form draws `[x, "null"]`, and an enum has to name null too."""
    decoder = params(FORM)["evaluate.decoder"]
    assert decoder.schema["type"] == ["string", "null"]
    assert decoder.schema["enum"] == ["greedy", "beam", None]


@pytest.mark.parametrize(("key", "value"), [("train.seed", -1), ("train.seed", "x")])
def test_a_value_against_the_rules_is_refused(key, value):
    """Rule: a wrong value never reaches a run."""
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        params(FORM)[key].resolve(value)


def test_what_equals_the_recipe_is_no_override():
    """Rule: an override says what differs, so that an unchanged form changes nothing."""
    conf = {"train.seed": 1, "train.max_steps": 20, ALLOW_DIRTY: True}
    assert chosen(conf, defaults(FORM)) == {"train.max_steps": 20}


def test_an_unknown_field_stays_in_for_the_run_to_refuse():
    """Rule: a misspelt override is an error of the run, not a silence of the form."""
    assert chosen({"train.sede": None}, defaults(FORM)) == {"train.sede": None}


def test_a_list_of_choices_is_drawn_as_a_choice_of_several():
    """Rule: Airflow's form takes the choices of a list from `examples`, else it draws free text."""
    items = {"type": "string", "enum": ["hf", "onnx-fp32"]}
    schema = {"type": "array", "items": items, "default": ["hf"]}
    field = {"key": "evaluate.artefacts", "section": "evaluate", "schema": schema}
    param = params([field])["evaluate.artefacts"]
    assert param.schema["examples"] == ["hf", "onnx-fp32"]
    assert param.resolve(["onnx-fp32"]) == ["onnx-fp32"]


def test_null_among_choices_has_a_word():
    """Rule: nobody has to know what "null" means."""
    decoder = params(FORM)["evaluate.decoder"]
    assert decoder.schema["values_display"] == {"null": "not set"}
