"""deploy/*.yaml and mongod.conf: YAML, and nothing in the composition refers to what isn't there."""

import pathlib
import sys

import yaml

deploy = pathlib.Path(sys.argv[1])
mongod = yaml.safe_load((deploy / "mongodb/mongod.conf").read_text())
assert mongod["replication"]["replSetName"] == "gadwall", mongod
assert mongod["security"]["authorization"] == "enabled", mongod
assert set(mongod) <= {"storage", "systemLog", "net", "replication", "security", "processManagement", "setParameter"}, mongod

compose = yaml.safe_load((deploy / "compose.yaml").read_text())
services = compose["services"]


def as_names(what):
    return [name.partition("=")[0] if isinstance(name, str) else name["source"] for name in what]


for name, service in services.items():
    where = f"service {name}"
    assert "image" in service, where
    mode = service.get("network_mode", "")
    if mode:
        kind, _, other = mode.partition(":")
        assert kind == "service" and other in services and "networks" in services[other], (where, mode)
        assert "ports" not in service and "networks" not in service, f"{where}: those are the machine's"
    for other in service.get("depends_on", {}):
        assert other in services, (where, other)
    for network in service.get("networks", {}):
        assert network in compose["networks"], (where, network)
    for config in service.get("configs", []):
        assert config["source"] in compose["configs"], (where, config)
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        there = (deploy / source).exists() if source.startswith(".") else source in compose["volumes"]
        assert there, (where, volume)
    if "build" in service:
        context = (deploy / service["build"]["context"]).resolve()
        assert (context / service["build"]["dockerfile"]).exists(), where
for name, config in compose["configs"].items():
    assert (deploy / config["file"]).exists(), name

# Three of everything, each on another machine.
for kind in ["mongo", "redis", "sentinel", "node", "haproxy"]:
    machines = {services[f"{kind}{n}"]["network_mode"] for n in (1, 2, 3)}
    assert machines == {f"service:machine{n}" for n in (1, 2, 3)}, (kind, machines)
addresses = [services[f"machine{n}"]["networks"]["private"]["ipv4_address"] for n in (1, 2, 3)]
assert addresses == ["10.0.0.1", "10.0.0.2", "10.0.0.3"], addresses
listeners = lambda n: {key: value for key, value in services[f"node{n}"]["environment"].items() if ":10" in value or ":8025" in value}
for n in (1, 2, 3):
    assert len(listeners(n)) == 9 and all(v.startswith(f"10.0.0.{n}:") for v in listeners(n).values()), listeners(n)
