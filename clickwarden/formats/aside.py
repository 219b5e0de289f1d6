"""Records set aside, in ``clicks.rejected`` and ``clicks.late``: the original key and value, with headers."""

#: Where the record came from.
HEADER_TOPIC = "topic"
HEADER_PARTITION = "partition"
HEADER_OFFSET = "offset"
#: Of a record that holds several things, which of them it is, from 0; missing where it is the whole record.
HEADER_ELEMENT = "element"
#: Why it is here.
HEADER_REASON = "reason"
HEADER_DETAIL = "detail"
#: In ``clicks.late``: names of the rules whose window was closed, comma between.
HEADER_RULES = "rules"
#: Those of them that could not count the click any more; missing where there is none.
HEADER_UNCOUNTED = "uncounted"
#: Windows that were closed, and those of them that could not count the click any more, as ``RULE/START`` with
#: epoch seconds, comma between; the second is missing where there is none.
HEADER_WINDOWS = "windows"
HEADER_UNCOUNTED_WINDOWS = "uncounted_windows"
