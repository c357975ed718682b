"""launch/gke.yaml: what the JobSet controller and Kubernetes accept, and what its pods then run."""

import copy
import os
import subprocess

import jsonschema
import pytest
import yaml
from launch_toys import LAUNCH, ROOT, Bench


def a(kind, **properties):
    """Schema of an object with these keys and no others; those whose names begin with need_ must be there."""
    required = [name.removeprefix("need_") for name in properties if name.startswith("need_")]
    fields = {name.removeprefix("need_"): value for name, value in properties.items()}
    return {"title": kind, "type": "object", "additionalProperties": False, "properties": fields, "required": required}


def many(items):
    return {"type": "array", "items": items, "minItems": 1}


def one_of(*values):
    return {"enum": list(values)}


# The part of the JobSet's definition (jobset.x-k8s.io/v1alpha2) and of Kubernetes' Job and Pod that the file uses.
TEXT, COUNT = {"type": "string", "minLength": 1}, {"type": "integer", "minimum": 0}
NAME = {"type": "string", "pattern": "^[a-z]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63}
RULE_NAME = {"type": "string", "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"}
QUANTITY = {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "^[0-9.]+(m|[KMGT]i?)?$"}]}
AMOUNTS = {"type": "object", "additionalProperties": QUANTITY}
CONTAINER = a(
    "Container",
    need_name=NAME,
    need_image=TEXT,
    command=many(TEXT),
    args=many(TEXT),
    env=many(a("EnvVar", need_name=TEXT, need_value={"type": "string"})),
    resources=a("Resources", limits=AMOUNTS, requests=AMOUNTS),
    volumeMounts=many(a("VolumeMount", need_name=NAME, need_mountPath=TEXT)),
)
POD = a(
    "PodSpec",
    need_containers=many(CONTAINER),
    need_restartPolicy=one_of("Never"),  # what a pod failure policy asks for
    terminationGracePeriodSeconds=COUNT,
    volumes=many(a("Volume", need_name=NAME, need_persistentVolumeClaim=a("Claim", need_claimName=NAME))),
    nodeSelector={"type": "object", "additionalProperties": TEXT},
)
ON_EXIT = a("OnExitCodes", containerName=NAME, need_operator=one_of("In", "NotIn"), need_values=many(COUNT))
POD_RULE = a("PodFailureRule", need_action=one_of("FailJob", "FailIndex", "Ignore", "Count"), need_onExitCodes=ON_EXIT)
JOB = a(
    "JobSpec",
    completionMode=one_of("Indexed", "NonIndexed"),
    completions=COUNT,
    parallelism=COUNT,
    backoffLimit=COUNT,
    podFailurePolicy=a("PodFailurePolicy", need_rules=many(POD_RULE)),
    need_template=a("PodTemplate", need_spec=POD),
)
ACTIONS = one_of("FailJobSet", "RestartJobSet", "RestartJobSetAndIgnoreMaxRestarts")
REASONS = many(one_of("PodFailurePolicy", "BackoffLimitExceeded", "DeadlineExceeded", "FailedIndexes"))
JOBSET_RULE = a("FailurePolicyRule", need_name=RULE_NAME, need_action=ACTIONS, onJobFailureReasons=REASONS)
JOBSET = a(
    "JobSet",
    need_apiVersion=one_of("jobset.x-k8s.io/v1alpha2"),
    need_kind=one_of("JobSet"),
    need_metadata=a("Metadata", need_name=NAME),
    need_spec=a(
        "JobSetSpec",
        network=a("Network", enableDNSHostnames={"type": "boolean"}, subdomain=NAME),
        failurePolicy=a("FailurePolicy", maxRestarts=COUNT, rules=many(JOBSET_RULE)),
        need_replicatedJobs=many(
            a("ReplicatedJob", need_name=NAME, replicas=COUNT, need_template=a("JobTemplate", need_spec=JOB))
        ),
    ),
)


@pytest.fixture
def jobset():
    return yaml.safe_load((LAUNCH / "gke.yaml").read_text())


def parts(jobset):
    (replicated,) = jobset["spec"]["replicatedJobs"]
    job = replicated["template"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    return replicated, job, container


def test_it_has_the_shape_of_a_jobset(jobset):
    jsonschema.validate(jobset, JOBSET)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda jobset: jobset.update(apiVersion="batch/v1"),
        lambda jobset: jobset["spec"]["failurePolicy"].update(maxRestart=3),
        lambda jobset: jobset["spec"]["failurePolicy"]["rules"][0].pop("name"),
        lambda jobset: parts(jobset)[1].update(completions="2"),
        lambda jobset: parts(jobset)[1]["template"]["spec"].update(restartPolicy="OnFailure"),
        lambda jobset: parts(jobset)[2]["env"][1].update(value=2),
    ],
)
def test_the_schema_refuses_what_kubernetes_refuses(jobset, spoil):
    spoilt = copy.deepcopy(jobset)
    spoil(spoilt)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spoilt, JOBSET)


def test_every_index_runs_at_once_and_finds_the_first(jobset):
    replicated, job, container = parts(jobset)
    variables = {entry["name"]: entry["value"] for entry in container["env"]}
    assert job["completionMode"] == "Indexed"
    assert job["completions"] == job["parallelism"] == int(variables["DAFXVAE_NUM_PROCESSES"])
    assert jobset["spec"]["network"]["enableDNSHostnames"]
    name = jobset["metadata"]["name"]
    host, port = variables["DAFXVAE_COORDINATOR"].split(":")
    assert host == f"{name}-{replicated['name']}-0-0.{name}"
    assert 1024 < int(port) < 65536


def test_a_stopped_pod_starts_all_again_and_a_message_to_the_user_ends_it(jobset):
    _, job, container = parts(jobset)
    assert job["backoffLimit"] == 0  # one pod's end is the job's, and the JobSet starts it whole
    assert jobset["spec"]["failurePolicy"]["maxRestarts"] > 0
    (rule,) = job["podFailurePolicy"]["rules"]
    assert rule["action"] == "FailJob"
    assert rule["onExitCodes"] == {"containerName": container["name"], "operator": "In", "values": [2]}
    (rule,) = jobset["spec"]["failurePolicy"]["rules"]
    assert (rule["action"], rule["onJobFailureReasons"]) == ("FailJobSet", ["PodFailurePolicy"])


def test_what_is_written_is_on_the_shared_volume(jobset):
    _, job, container = parts(jobset)
    (mount,) = container["volumeMounts"]
    (volume,) = job["template"]["spec"]["volumes"]
    assert mount["name"] == volume["name"]
    workdir = container["args"][container["args"].index("--workdir") + 1]
    variables = {entry["name"]: entry["value"] for entry in container["env"]}
    for path in (workdir, variables["DAFXVAE_CACHE"]):
        assert os.path.commonpath([path, mount["mountPath"]]) == mount["mountPath"]


@pytest.mark.parametrize("index", [0, 1])
def test_a_pod_runs_the_command(jobset, tmp_path, index):
    bench = Bench(tmp_path)
    container = parts(jobset)[2]
    variables = {entry["name"]: entry["value"] for entry in container["env"]} | {"JOB_COMPLETION_INDEX": str(index)}
    command = [*container["command"], *container["args"]]
    subprocess.run(command, cwd=ROOT, env=bench.environment | variables, check=True)
    ((found, arguments),) = bench.processes()
    assert found[:3] == ["dafxvae-worker-0-0.dafxvae:8476", "2", str(index)]
    assert arguments == ["-m", "dafxvae.train", *container["args"]]
    assert arguments[2:4] == ["--config", "configs/reverb.py"]
