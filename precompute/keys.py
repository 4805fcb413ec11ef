"""Every Redis key, in one place.

| key                        | type   | holds                                                       |
|----------------------------|--------|-------------------------------------------------------------|
| `f:{view}:entity`          | string | feature row: event time, update id, packed values           |
| `u:{view}`                 | stream | update log; its ids are the system's clock                   |
| `s:{view}`                 | hash   | layout id -> layout of packed rows                           |
| `p:model:version:key`      | string | entry: as-of, computed-at, ready-made JSON body; has a TTL   |
| `model:name:versions`      | hash   | version -> record                                            |
| `model:name:active`        | hash   | variant -> version                                           |
| `model:name:past`          | list   | earlier active pointers, newest first                        |
| `model:name:seq`           | string | last version number                                          |
| `model:name:rollout`       | string | how far a rollout has come, as JSON; expires                 |
| `model:blob:sha256`        | string | one ONNX file                                                |
| `model:log`                | stream | one record per publish and per change of what is served      |
| `withdrawn:{node}`         | set    | models that an edge node does not serve for now              |
| `experiments`              | hash   | experiment -> how it was added or stopped by command, as JSON |
| `experiment:{name}:exposures` | stream | who was answered by which arm, and how                    |
| `experiment:{name}:answers` | hash  | arm and tier -> answers, sampled or not                      |
| `orders:past`              | list   | what was invalidated by hand, by whom and why, newest first  |
| `orders:refresh`           | list   | hot keys that an edge was told to have recomputed            |
| `orders:runs`              | list   | declared jobs that an edge was told to have run              |
| `hot:{model}`              | zset   | key -> decayed request weight                                |
| `hot:{model}:windows`      | list   | sketches flushed by edges, waiting to be merged              |
| `hot:{model}:state`        | hash   | when they were merged last, total rate, error bound          |
| `hot:{model}:recent`       | string | rates of the hottest keys in the last minute, as JSON        |
| `hot:{model}:plan`         | string | what the refresher makes of them, as JSON; expires           |
| `dead:{kind}`              | list   | records and entries that could not be read, newest first     |
| `refresher:{name}`         | string | says that this refresher is alive; expires                   |
| `jobs:all`                 | zset   | job id -> ms when it was started                             |
| `jobs:{id}:record`         | string | what the job computes                                        |
| `jobs:{id}:progress`       | hash   | its counters                                                 |
| `jobs:{id}:chunk:n`        | string | keys of one task, until it is done                           |
| `jobs:{id}:done`           | string | a bit for each chunk that has been counted                   |
| `jobs:{id}:attempts`       | hash   | chunk -> how often it was begun                              |
| `jobs:{id}:failures`       | list   | the first keys that failed, with reasons                     |
| `jobs:schedules`           | hash   | job declared by command -> what it is, as JSON               |
| `jobs:pauses`              | hash   | declared job -> whether it is paused, and since when         |
| `schedule:{name}:ledger`   | string | what its scheduler knows: last fire, open runs, as JSON      |
| `schedule:{name}:past`     | list   | its latest ended runs as JSON, newest first                  |
| `schedule:{name}:keys`     | string | the keys it was given, compressed                            |
| `lease:{name}`             | string | who leads, with an expiry                                    |
| `lease:{name}:fence`       | string | last fencing number                                          |
| `stats:workers`            | hash   | what workers have done, counted                              |
| `stats:costs`              | hash   | rows computed and time taken, by model                       |
| `stats:audit`              | string | what the latest audit has found, as JSON                     |
| `stats:5s:node:process`    | stream | what an edge process has counted, by 5 s; ids begin with when |
| `stats:1m:node:process`    | stream | the same by minutes                                          |
| `stats:nodes`              | zset   | process and node -> ms when it wrote last                    |
| `stats:profiles:node`      | string | how long live answers of its variants take; expires          |
| `stats:variants:node:process` | string | which of its variants are loaded or taken out; expires    |
| `stats:roles`              | zset   | role and name of a worker and the like -> ms when it said so |
| `stats:role:role:name`     | string | what it says of itself, as JSON; expires                     |
| `stats:work:hour`          | hash   | what workers did: 5 s and what -> count; hour in ms           |
| `hb`                       | string | heartbeat of the primary's side: time in ms                  |

Braces stand in the key as they do here: what shares the name inside them shares a slot of a cluster.
"""

from __future__ import annotations


def row_key(view: str, entity: str) -> str:
    """Where one feature row is stored; `entity` in its canonical spelling."""
    return f"f:{{{view}}}:{entity}"


def row_prefix(view: str) -> str:
    """What all row keys of a view begin with."""
    return f"f:{{{view}}}:"


def log_key(view: str) -> str:
    """The update log of a view."""
    return f"u:{{{view}}}"


def layout_key(view: str) -> str:
    """The layouts that rows of a view have been packed with."""
    return f"s:{{{view}}}"


def entry_key(model: str, version: int, key: str) -> str:
    """Where one prediction is stored; a version belongs to one variant, so it stands for both."""
    return f"p:{model}:{version}:{key}"


def entry_prefix(model: str, version: int) -> str:
    """What all entry keys of a version begin with."""
    return f"p:{model}:{version}:"


def versions_key(model: str) -> str:
    """All published versions of a model."""
    return f"model:{model}:versions"


def active_key(model: str) -> str:
    """Which version each variant serves."""
    return f"model:{model}:active"


def past_key(model: str) -> str:
    """Earlier pointers, for rolling back."""
    return f"model:{model}:past"


def sequence_key(model: str) -> str:
    """The last version number given out."""
    return f"model:{model}:seq"


def rollout_key(model: str) -> str:
    """How far a rollout has come."""
    return f"model:{model}:rollout"


def blob_key(sha256: str) -> str:
    """One model file, named by its content."""
    return f"model:blob:{sha256}"


def withdrawn_key(node: str) -> str:
    """Models that somebody has taken out of a node's service."""
    return f"withdrawn:{node}"


REGISTRY_LOG = "model:log"
#: Stands among the views of an update log for what people order by hand: that a model, or one key of it, be computed
#: anew.
ORDERS = "!"
ORDERS_PAST = "orders:past"
ORDERED_REFRESHES = "orders:refresh"
ORDERED_RUNS = "orders:runs"
#: What the names of all entries begin with.
ENTRY_PREFIX = "p:"
HEARTBEAT = "hb"
JOBS = "jobs:all"
SCHEDULES = "jobs:schedules"
PAUSES = "jobs:pauses"
EXPERIMENTS = "experiments"
WORKER_TALLIES = "stats:workers"
ROW_COSTS = "stats:costs"
AUDIT = "stats:audit"
STATS_SOURCES = "stats:nodes"
STATS_ROLES = "stats:roles"


def hot_key(model: str) -> str:
    """Decayed request weights of a model's hot keys."""
    return f"hot:{{{model}}}"


def hot_windows_key(model: str) -> str:
    """Sketches that edges have flushed and nobody has merged yet."""
    return f"hot:{{{model}}}:windows"


def hot_next_key(model: str) -> str:
    """Scores being written, before they replace the ones in use."""
    return f"hot:{{{model}}}:next"


def hot_state_key(model: str) -> str:
    """What is known about a model's hot keys as a whole."""
    return f"hot:{{{model}}}:state"


def hot_recent_key(model: str) -> str:
    """How often a model's hottest keys were asked for lately."""
    return f"hot:{{{model}}}:recent"


def hot_plan_key(model: str) -> str:
    """What the refresher makes of a model's hot keys."""
    return f"hot:{{{model}}}:plan"


def dead_key(kind: str) -> str:
    """What could not be read."""
    return f"dead:{kind}"


def refresher_key(name: str) -> str:
    """Says that a refresher is alive."""
    return f"refresher:{name}"


def job_key(job: str, what: str) -> str:
    """One part of a job; all parts share a hash tag, so that one script may change them together."""
    return f"jobs:{{{job}}}:{what}"


def schedule_key(name: str, what: str) -> str:
    """One part of a declared job."""
    return f"schedule:{{{name}}}:{what}"


def lease_key(name: str) -> str:
    """Who leads."""
    return f"lease:{{{name}}}"


def fence_key(name: str) -> str:
    """The last fencing number of a lease."""
    return f"lease:{{{name}}}:fence"


def stats_key(width: str, node: str, process: int) -> str:
    """What one process of an edge node has counted, in buckets of some width."""
    return f"stats:{width}:{node}:{process}"


def variants_key(node: str, process: int) -> str:
    """What one process of an edge node says of its variants."""
    return f"stats:variants:{node}:{process}"


def profiles_key(node: str) -> str:
    """How long live answers take on one edge node, by model and variant."""
    return f"stats:profiles:{node}"


def role_key(role: str, name: str) -> str:
    """What a worker, a refresher or a scheduler says of itself."""
    return f"stats:role:{role}:{name}"


def work_key(hour_ms: int) -> str:
    """What the workers have done in one hour."""
    return f"stats:work:{hour_ms}"


def exposures_key(experiment: str) -> str:
    """Who was answered by which arm of an experiment."""
    return f"experiment:{{{experiment}}}:exposures"


def answers_key(experiment: str) -> str:
    """How often each arm of an experiment has answered from each tier."""
    return f"experiment:{{{experiment}}}:answers"
