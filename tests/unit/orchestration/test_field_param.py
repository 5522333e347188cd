"""A field of the form against Airflow's own: the same answers, and written down the same."""

import copy
import json

import pytest
from airflow.sdk import DAG
from airflow.sdk import Param as AirflowParam
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization
from hypothesis import given
from hypothesis import strategies as st

from voxmill.orchestration.field_param import Param

SCHEMAS = (
    {"type": "integer", "minimum": 1, "maximum": 9},
    {"type": ["number", "null"], "exclusiveMinimum": 0},
    {"type": "string", "enum": ["greedy", "beam"]},
    {"type": ["string", "null"], "enum": ["process", None]},
    {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}, "minItems": 1},
    {"type": "object", "additionalProperties": {"type": "string", "pattern": "^[a-z]+$"}},
    {"type": "boolean"},
)
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 12),
    st.sampled_from([0.0, 1e-4, 2.5, "greedy", "process", "", object()]),
    st.lists(st.sampled_from([0.5, -1, "x"]), max_size=3),
    st.dictionaries(st.sampled_from(["a"]), st.sampled_from(["test", "T1"])),
)


def outcome(param, value):
    try:
        return param.resolve(value)
    except ParamValidationError as error:
        return str(error)


@given(schema=st.sampled_from(SCHEMAS), value=values)
def test_it_takes_and_refuses_what_airflow_s_own_does_in_the_same_words(schema, value):
    """Rule: faster, and nothing else."""
    ours, theirs = (kind(None, **schema) for kind in (Param, AirflowParam))
    assert outcome(ours, value) == outcome(theirs, value)
    assert ours.value == theirs.value


def test_airflow_writes_it_down_as_a_param_with_its_rules():
    """Rule: server and form know the field's rules, whatever class holds them."""
    rules = {"type": "integer", "minimum": 1, "section": "train", "title": "Steps"}
    dag = DAG("toy", schedule=None, params={"train.steps": Param(3, "How many.", **rules)})
    there = DagSerialization.from_json(DagSerialization.to_json(dag)).params
    assert there.get_param("train.steps").schema == rules
    assert there.get_param("train.steps").description == "How many."
    assert there.dump() == json.loads(json.dumps(there.dump()))
    with pytest.raises(Exception, match="minimum of 1"):
        there.deep_merge({"train.steps": 0}).validate()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_is_one_of_ours_and_stands_for_itself(copied):
    """Rule: Airflow copies a DAG's params for every task."""
    one = Param(3, type="integer", minimum=1)
    other = copied(one)
    other.resolve(5)
    assert (type(other), one.value, other.value) == (Param, 3, 5)
