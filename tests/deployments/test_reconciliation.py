"""The plan alone: what is wanted and what there is, in; what to start and stop, out."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from apps.deployments.enums import DeploymentStatus, ReplicaStatus
from apps.deployments.reconciliation import Member, Wanted, plan, ready_count, served_version, status_of

V1, V2, V3 = (UUID(int=number) for number in (1, 2, 3))
READY, STARTING, FAILED = ReplicaStatus.READY, ReplicaStatus.STARTING, ReplicaStatus.FAILED
STOPPING, UNHEALTHY = ReplicaStatus.STOPPING, ReplicaStatus.UNHEALTHY


def member(number: int, status: ReplicaStatus, version: UUID = V1, index: int | None = None) -> Member:
    return Member(UUID(int=100 + number), version, number if index is None else index, status)


def test_missing_replicas_are_started_at_the_free_indexes() -> None:
    decided = plan(Wanted(V1, V1, 3), [member(1, READY)])
    assert decided.start == (0, 2)
    assert not decided.stop


def test_a_stopped_deployment_stops_every_replica() -> None:
    members = [member(0, READY), member(1, STARTING), member(2, FAILED)]
    decided = plan(Wanted(V1, V1, 0), members)
    assert decided.stop == {one.id for one in members}
    assert decided.start == ()


def test_scaling_down_keeps_the_ready_ones() -> None:
    members = [member(0, FAILED), member(1, STARTING), member(2, READY)]
    assert plan(Wanted(V1, V1, 1), members).stop == {members[0].id, members[1].id}


def test_a_failed_replica_keeps_its_place_because_it_is_tried_again() -> None:
    decided = plan(Wanted(V1, V1, 2), [member(0, READY), member(1, FAILED)])
    assert decided.start == ()
    assert not decided.stop


def test_the_index_of_a_stopping_replica_is_not_given_away_yet() -> None:
    assert plan(Wanted(V1, V1, 1), [member(0, STOPPING)]).start == (1,)


def test_the_version_before_stays_complete_until_the_new_one_is() -> None:
    members = [member(0, READY), member(1, READY), member(2, READY, V2, 0), member(3, STARTING, V2, 1)]
    decided = plan(Wanted(V2, V1, 2), members)
    assert decided.serving == V1
    assert not decided.stop


def test_a_complete_new_version_takes_all_calls_and_ends_the_one_before() -> None:
    members = [member(0, READY), member(1, READY), member(2, READY, V2, 0), member(3, READY, V2, 1)]
    decided = plan(Wanted(V2, V1, 2), members)
    assert decided.serving == V2
    assert decided.stop == {members[0].id, members[1].id}


def test_the_first_ready_replica_of_the_new_version_serves_when_the_version_before_cannot() -> None:
    members = [member(0, FAILED), member(1, READY, V2, 0)]
    assert plan(Wanted(V2, V1, 2), members).serving == V2


def test_a_version_that_was_never_served_is_dropped_when_a_third_is_wanted() -> None:
    members = [member(0, READY), member(1, STARTING, V2, 0)]
    decided = plan(Wanted(V3, V1, 1), members)
    assert decided.stop == {members[1].id}
    assert decided.start == (0,)


def test_rolling_back_keeps_what_still_serves() -> None:
    members = [member(0, READY), member(1, FAILED, V2, 0)]
    decided = plan(Wanted(V1, V1, 1), members)
    assert decided.stop == {members[1].id}
    assert decided.start == ()


def test_statuses() -> None:
    wanted = Wanted(V1, V1, 2)
    assert status_of(Wanted(V1, V1, 0), [member(0, STOPPING)]) == DeploymentStatus.STOPPED
    assert status_of(wanted, []) == DeploymentStatus.STARTING
    assert status_of(wanted, [member(0, READY), member(1, STARTING)]) == DeploymentStatus.DEGRADED
    assert status_of(wanted, [member(0, FAILED), member(1, STARTING)]) == DeploymentStatus.FAILED
    assert status_of(wanted, [member(0, READY), member(1, READY)]) == DeploymentStatus.READY
    rolling = [member(0, READY), member(1, READY), member(2, FAILED, V2, 0)]
    assert status_of(Wanted(V2, V1, 2), rolling) == DeploymentStatus.DEGRADED


members_strategy = st.lists(
    st.builds(
        lambda version, status: (version, status), st.sampled_from([V1, V2, V3]), st.sampled_from(list(ReplicaStatus))
    ),
    max_size=12,
).map(lambda drawn: [member(number, status, version) for number, (version, status) in enumerate(drawn)])
wanted_strategy = st.builds(Wanted, st.sampled_from([V1, V2]), st.sampled_from([V1, V2]), st.integers(0, 8))


@given(wanted_strategy, members_strategy)
def test_after_a_plan_exactly_the_wanted_number_of_the_wanted_version_is_kept_or_started(
    wanted: Wanted, members: list[Member]
) -> None:
    decided = plan(wanted, members)
    living = [one for one in members if one.status != STOPPING]
    kept = [one for one in living if one.id not in decided.stop and one.version == wanted.version]
    assert len(kept) + len(decided.start) == wanted.replica_count


@given(wanted_strategy, members_strategy)
def test_a_plan_never_stops_a_serving_replica_that_calls_still_need(wanted: Wanted, members: list[Member]) -> None:
    decided = plan(wanted, members)
    left = [one for one in members if one.id not in decided.stop]
    needed = min(ready_count(members, decided.serving), wanted.replica_count)
    assert ready_count(left, decided.serving) >= needed


@given(wanted_strategy, members_strategy)
def test_a_plan_stops_only_what_lives_and_starts_only_at_free_indexes(wanted: Wanted, members: list[Member]) -> None:
    decided = plan(wanted, members)
    assert decided.stop <= {one.id for one in members if one.status != STOPPING}
    assert not set(decided.start) & {one.index for one in members if one.version == wanted.version}
    assert len(set(decided.start)) == len(decided.start)


@given(wanted_strategy, members_strategy)
def test_carrying_out_a_plan_leaves_nothing_to_plan(wanted: Wanted, members: list[Member]) -> None:
    decided = plan(wanted, members)
    after = [one for one in members if one.id not in decided.stop]
    after += [member(50 + index, STARTING, wanted.version, index) for index in decided.start]
    again = plan(Wanted(wanted.version, decided.serving, wanted.replica_count), after)
    assert (again.serving, again.start, again.stop) == (decided.serving, (), frozenset())


@given(wanted_strategy, members_strategy)
def test_calls_never_move_to_a_version_that_answers_less(wanted: Wanted, members: list[Member]) -> None:
    serving = served_version(wanted, members)
    if serving != wanted.serving:
        able = min(ready_count(members, wanted.serving), wanted.replica_count)
        assert ready_count(members, serving) >= able
