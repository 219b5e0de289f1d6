"""What a schema registry knows of a record's value."""

from typing import NamedTuple


class Schema(NamedTuple):
    """A schema as the registry has it.

    Attributes:
        kind: AVRO, PROTOBUF or JSON.
        text: of Avro JSON, of Protobuf a FileDescriptorProto in base64.
        references: the texts of the schemas that it refers to, each behind those that it refers to
            itself; of Protobuf by the names under which they are imported.
    """

    kind: str
    text: str
    references: tuple[tuple[str, str], ...] = ()
