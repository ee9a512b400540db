"""Writes what Python's email package makes of mails: for each file named on
standard input a JSON line with its MIME types, depth first, and its decoded
subject and addresses."""

import email
import email.header
import email.policy
import json
import re
import sys
import warnings

warnings.simplefilter("ignore")


def read(name):
    with open(name, "rb") as f:
        octets = f.read()
    if "spamassassin-ham" in name and octets.startswith(b"From "):
        octets = octets.split(b"\n", 1)[1]
    return re.sub(rb"\r?\n", b"\r\n", octets)


def descends(content_type):
    """Python also splits delivery reports and external bodies, which are no messages."""
    return not content_type.startswith("message/") or content_type == "message/rfc822"


def walk(part, types, defects):
    types.append(part.get_content_type())
    defects.extend(type(d).__name__ for d in part.defects)
    if part.is_multipart() and descends(part.get_content_type()):
        for inner in part.get_payload():
            walk(inner, types, defects)


def decoded(message, name):
    value = message.get(name)
    if value is None:
        return ""
    return str(email.header.make_header(email.header.decode_header(value)))


for line in sys.stdin:
    name = line.rstrip("\n")
    octets = read(name)
    # The legacy policy: it does not parse header fields, which is asked of it apart.
    message = email.message_from_bytes(octets, policy=email.policy.compat32)
    types, defects = [], []
    walk(message, types, defects)
    try:
        subject = decoded(message, "Subject")
    except (LookupError, UnicodeError, email.errors.HeaderParseError):
        subject = None
    addresses = None
    if "To" in message and len(message.get_all("To")) == 1 and isinstance(message["To"], str):
        addresses = [a for _, a in email.utils.getaddresses([message["To"]]) if a]
    json.dump({"types": types, "defects": defects, "subject": subject, "to": addresses}, sys.stdout)
    print()
