"""Apache Kafka on this machine: some brokers on loopback, from Maven artifacts.

`cluster.KafkaCluster` is the class, ``python -m deploy.kafka`` (``make kafka``) starts one by hand.
"""
