"""Several processes that train one model: started here or by ssh on other hosts, watched, and ended together."""

from d2lrnn.cluster.hosts import read_hosts as read_hosts
from d2lrnn.cluster.job import Checkpoint as Checkpoint
from d2lrnn.cluster.job import Job as Job
from d2lrnn.cluster.job import JobError as JobError
from d2lrnn.cluster.job import Remote as Remote
from d2lrnn.cluster.launcher import run_job as run_job
from d2lrnn.cluster.plan import plan_of as plan_of
