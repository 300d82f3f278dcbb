"""A CronJob for Kubernetes that runs a job file, and the Dockerfile of the image that it runs in."""

from __future__ import annotations

import json
import re
import sys

from .. import __version__
from .job import JobFile, Schedule
from .schedules import cron_days, variables

__all__ = ["cron_job", "dockerfile"]

IMAGE, USER = "solvent", 10001
LONGEST = 52  # a CronJob's name: eleven letters are added for each job

CRON_JOB = """\
# solvent job schedule JOB --for kubernetes | kubectl apply -f -      Kubernetes 1.31 or newer
# Adapt: the image (solvent job schedule JOB --for docker), and the claim whose volume holds {folder}.
# How the last run ended, exit code by exit code:
#   kubectl get pods -l app.kubernetes.io/instance={name} -o custom-columns=\\
#     POD:.metadata.name,EXIT:.status.containerStatuses[0].state.terminated.exitCode
# 0: the Job is complete. Any other ends it as failed, and the condition Failed says by which rule:
# index 0 is drift (exit 3: published all the same), index 1 what trying again does not help (2 refused, 4 too many
# bad rows, 5 locked{out_of_time}); BackoffLimitExceeded is exit 1, or a process that was killed, again and again.
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {name}
  labels: {{app.kubernetes.io/name: solvent, app.kubernetes.io/instance: {name}}}
spec:
  schedule: "{minute} {hour} * * {days}"
  timeZone: {zone}
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 21600
  successfulJobsHistoryLimit: 3
  failedJobsHistoryLimit: 7
  jobTemplate:
    spec:
      backoffLimit: 4
      podFailurePolicy:
        rules:
          - action: FailJob
            onExitCodes: {{containerName: solvent, operator: In, values: [3]}}
          - action: FailJob
            onExitCodes: {{containerName: solvent, operator: In, values: [{final}]}}
          - action: Ignore
            onPodConditions: [{{type: DisruptionTarget, status: "True"}}]
      template:
        metadata:
          labels: {{app.kubernetes.io/name: solvent, app.kubernetes.io/instance: {name}}}
        spec:
          restartPolicy: Never
          # SIGTERM lets the part under way be finished and entered; the next pod goes on behind it.
          terminationGracePeriodSeconds: 900
          securityContext: {{runAsNonRoot: true, runAsUser: {user}, runAsGroup: {user}, fsGroup: {user}}}
          containers:
            - name: solvent
              image: {image}
              args: ["--json-logs", "job", "run", {path}]
              {secret}resources: {{requests: {{cpu: "1", memory: 2Gi}}, limits: {{memory: 4Gi}}}}
              volumeMounts: [{{name: jobs, mountPath: {mount}}}]
          volumes:
            - name: jobs
              persistentVolumeClaim: {{claimName: {name}}}
"""

DOCKERFILE = """\
# In the folder of Solvent's source:   docker build -t {image} -f THIS_FILE .
# The job file's folder, with the bundle, the sources and the sinks, is mounted where it lies here:
#   docker run --rm -v {folder}:{folder} {image}
# Exit codes: 0 done, 1 failed, 2 refused, 3 drift (published all the same), 4 too many bad rows, 5 locked.
FROM python:{python}-slim
WORKDIR /solvent
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY shared shared
COPY solutions solutions
# Version {version} made this file. Fewer extras make it smaller: credit needs [finance], texts [nlp], images [vision].
RUN pip install --no-cache-dir -c constraints.txt '.[{extras}]' \\
 && useradd --uid {user} --create-home solvent
USER {user}
WORKDIR /home/solvent
ENV PYTHONUNBUFFERED=1
ENTRYPOINT ["solvent"]
CMD ["--json-logs", "job", "run", {path}]
"""


def cron_job(file: JobFile, schedule: Schedule) -> str:
    """A CronJob whose end tells success, drift and failure apart."""
    hour, minute = schedule.at.split(":")
    needed = variables(file)
    out_of_time = any(job.limits.max_minutes is not None for job in file.jobs.values())
    secret = f"# a secret with: {', '.join(needed)}\n              envFrom: [{{secretRef: {{name: {_name(file)}}}}}]\n"
    return CRON_JOB.format(
        name=_name(file),
        image=IMAGE,
        user=USER,
        folder=file.base,
        mount=json.dumps(str(file.base)),
        path=json.dumps(str(file.path)),
        minute=int(minute),
        hour=int(hour),
        days=cron_days(schedule),
        zone=schedule.timezone,
        # exit 1 of limits.max_minutes is gone on with the next night
        final="1, 2, 4, 5" if out_of_time else "2, 4, 5",
        out_of_time=", 1 since limits.max_minutes may have ended it" if out_of_time else "",
        secret=secret + " " * 14 if needed else "",
    )


def dockerfile(file: JobFile) -> str:
    """The image that a scheduler of containers runs the job file in."""
    return DOCKERFILE.format(
        image=IMAGE,
        user=USER,
        extras="all,ray" if any(job.engine == "ray" for job in file.jobs.values()) else "all",
        folder=file.base,
        path=json.dumps(str(file.path)),
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        version=__version__,
    )


def _name(file: JobFile) -> str:
    """A name as Kubernetes has them: lower case letters, digits and hyphens."""
    words = "-".join(filter(None, ("solvent", file.path.parent.name, file.path.stem)))
    return re.sub(r"[^a-z0-9]+", "-", words.lower())[:LONGEST].strip("-")
