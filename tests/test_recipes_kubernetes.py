"""The recipe for Kubernetes, validated with its schemas; the command of its pod is run here."""

from __future__ import annotations

import json
import re
import subprocess

import kubernetes_validate
import pytest

from tests.support.recipes import (
    POSIX,
    PROGRAM,
    documents_of_kubernetes,
    pod_of,
    stand_in,
    text_of,
    words_of_pod,
)


@pytest.fixture(scope="module")
def documents():
    found = documents_of_kubernetes()
    for document in found.values():
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    return found


@pytest.fixture
def cron_job(documents):
    return documents["CronJob batch-enroll"]


def test_kubernetes_retries_only_resumable_runs(cron_job):
    assert cron_job["spec"]["concurrencyPolicy"] == "Forbid"
    job = cron_job["spec"]["jobTemplate"]["spec"]
    assert job["template"]["spec"]["restartPolicy"] == "Never"
    actions = {
        code: rule["action"]
        for rule in job["podFailurePolicy"]["rules"]
        for code in rule.get("onExitCodes", {}).get("values", ())
    }
    assert {code: actions.get(code) for code in (2, 3, 4, 5, 143)} == {
        2: "FailJob",
        3: "Count",
        4: "FailJob",
        5: "FailJob",
        143: "Count",
    }


def test_disrupted_pod_does_not_count_as_a_retry(cron_job):
    """The first rule that fits counts, and a pod of such a node ends with 143, which the last rule counts."""
    rules = cron_job["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    assert [rule["action"] for rule in rules] == ["FailJob", "Ignore", "Count"]


def test_schema_check_can_fail(cron_job):
    wrong = {**cron_job, "spec": {**cron_job["spec"], "concurencyPolicy": "Forbid"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)


def test_mounted_volumes_are_defined(documents, cron_job):
    pod = pod_of(cron_job)
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} == volumes.keys()
    claims = {
        volume["persistentVolumeClaim"]["claimName"] for volume in volumes.values() if "persistentVolumeClaim" in volume
    }
    assert {f"PersistentVolumeClaim {claim}" for claim in claims} == documents.keys() - {"CronJob batch-enroll"}
    made = set(re.findall(r"kubectl create (configmap|secret generic) (\S+)", text_of("kubernetes", "cronjob.yaml")))
    used = {(kind, source[kind]["name"]) for source in volumes["job"]["projected"]["sources"] for kind in source}
    kinds = {"configmap": "configMap", "secret generic": "secret"}
    assert used == {(kinds[kind], name) for kind, name in made}


def test_ledger_in_kubernetes_outlives_the_pod(cron_job):
    pod = pod_of(cron_job)
    places = {mount["mountPath"]: mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    job = text_of("nightly.toml")
    assert 'ledger = "/var/lib/batch-enroll/' in job
    assert 'status_file = "/var/lib/batch-enroll/' in job
    for place in ("/var/lib/batch-enroll", "/var/lib/batch-enroll-marks", "/srv/leads"):
        assert "persistentVolumeClaim" in volumes[places[place]]
        assert place in text_of("docker", "Dockerfile")


@POSIX
@pytest.mark.parametrize(("code", "shown"), [(0, 0), (1, 0), (2, 2), (3, 3), (4, 4), (5, 5)])
def test_pod_maps_exit_code_1_to_success(tmp_path, cron_job, code, shown):
    ended = subprocess.run(stood_in(cron_job, stand_in(tmp_path, code)), check=False)
    assert ended.returncode == shown


@POSIX
@pytest.mark.parametrize(("finding", "shown"), [("out_of_reach", 3), ("token", 2)])
def test_pod_is_started_again_when_the_platform_is_out_of_reach(tmp_path, cron_job, finding, shown):
    told = json.dumps({"run": None, "finding": finding})
    program = stand_in(tmp_path, 2, says=f"echo '{told}'")
    ended = subprocess.run(stood_in(cron_job, program), check=False, stdout=subprocess.PIPE, text=True)
    assert (ended.returncode, ended.stdout) == (shown, f"{told}\n")


@POSIX
def test_stopped_pod_stops_the_program_gracefully(tmp_path, cron_job):
    says = "trap 'sleep 0.3; exit 143' TERM\necho ready >&2\nwhile :; do sleep 0.05; done"
    with subprocess.Popen(stood_in(cron_job, stand_in(tmp_path, 0, says=says)), stderr=subprocess.PIPE) as pod:
        assert pod.stderr is not None
        assert pod.stderr.readline() == b"ready\n"
        pod.terminate()
        assert pod.wait(30) == 143


def stood_in(cron_job, program):
    return [word.replace(PROGRAM, str(program)) for word in words_of_pod(cron_job)]
