#!/usr/bin/env python3
"""Makes the seeds in this folder that are no text. The others were written by hand."""

import base64
import binascii
import hashlib
import json
import os
import struct

os.chdir(os.path.dirname(os.path.abspath(__file__)))


def keep(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def at(places, size):
    data = bytearray(size)
    for offset, part in places.items():
        data[offset : offset + len(part)] = part
    return bytes(data)


# DNS (RFC 1035): answers to a question for boot.example.
def name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".")) + b"\0"


def answer(kind, records, flags=0x8180):
    data = struct.pack(">6H", 7, flags, 1, len(records), 0, 0) + name("boot.example") + struct.pack(">2H", kind, 1)
    for of, kind, value in records:
        data += of + struct.pack(">2HIH", kind, 1, 60, len(value)) + value
    return data


ASKED = b"\xc0\x0c"  # where the question has the name
keep("dns/a", answer(1, [(ASKED, 1, bytes([198, 18, 0, 1]))]))
keep("dns/aaaa", answer(28, [(ASKED, 28, bytes(15) + b"\1")]))
keep("dns/cname", answer(1, [(ASKED, 5, name("a.b")), (name("a.b"), 1, bytes([198, 18, 0, 1]))]))
keep("dns/alias", answer(1, [(ASKED, 5, name("a.b"))]))
keep("dns/none", answer(1, [], 0x8183))

# The log of an XFS: an unmount record of cycle 2, one of a change that was not unmounted, and blocks of cycle 1.
def xfs_record(cycle, flags):
    header = {0: struct.pack(">5I", 0xFEEDBABE, cycle, 2, 512, cycle), 40: struct.pack(">I", 1)}
    return at({**header, 320: struct.pack(">I", 32 << 10)}, 512) + at({0: struct.pack(">I", cycle), 9: bytes([flags])}, 512)


OLD = at({0: struct.pack(">I", 1)}, 512) * 4
keep("xfs-log/clean", xfs_record(2, 0x20) + OLD)
keep("xfs-log/dirty", xfs_record(2, 0x20) + xfs_record(2, 1) + OLD)
keep("xfs-log/full", xfs_record(2, 0x20) * 3)

# Messages of the kernel (include/scsi/iscsi_if.h), as of a little-endian machine.
KEYS = b"TargetPortalGroupTag=1\0AuthMethod=CHAP\0"


def uevent(event, places, payload=b""):
    words = {16: struct.pack("<I", event), **{16 + offset: struct.pack("<I", n) for offset, n in places.items()}}
    return at({**words, 4: struct.pack("<H", 13)}, 72) + payload


def pdu(opcode, flags, keys, places=None):
    header = {0: bytes([opcode, flags]), 5: struct.pack(">I", len(keys))[1:], **(places or {})}
    return at(header, 48) + keys + bytes(-len(keys) % 4)


keep("netlink/pdu", uevent(101, {40: 3}, pdu(0x23, 0, KEYS)))
keep("netlink/lost", uevent(102, {40: 3, 48: 1011}))
keep("netlink/reply", uevent(13, {16: 3, 40: 3}))
keep("netlink/error", uevent(103, {4: 0xFFFFFFF4, 16: 3}))


# Logins: how, then flags, status class and keys in each line. The secrets are those of the target's code.
def chap(identifier, secret, challenge):
    return "0x" + hashlib.md5(bytes([identifier]) + secret + challenge).hexdigest()


def login(how, *lines):
    lines = (bytes([flags]) + status + "\0".join(keys).encode() + b"\0" for flags, status, *keys in lines)
    return bytes([how]) + b"\n".join(lines)


OFFER = ["HeaderDigest=None", "MaxBurstLength=262144", "FirstBurstLength=65536", "InitialR2T=Yes", "ImmediateData=No"]
CHALLENGE = "CHAP_A=5", "CHAP_I=9", "CHAP_C=0x000102030405060708090a0b0c0d0e0f"
PROOF = "CHAP_N=store", "CHAP_R=" + chap(7, b"secret-of-store", b"\x5a" * 16)
keep("login/none", login(0, (0x81, b"0", "AuthMethod=None"), (0x87, b"0", *OFFER)))
keep("login/one-way", login(1, (0, b"0", "AuthMethod=CHAP"), (0, b"0", *CHALLENGE), (0x81, b"0"), (0x87, b"0", *OFFER)))
keep("login/mutual", login(3, (0, b"0", "AuthMethod=CHAP"), (0, b"0", *CHALLENGE), (0x81, b"0", *PROOF), (0x87, b"0", *OFFER)))
keep("login/base64", login(1, (0, b"0", "AuthMethod=CHAP"), (0, b"0", "CHAP_A=7", "CHAP_I=0x10", "CHAP_C=0bAAECAwQFBgc=")))
keep("login/parts", login(0, (0x40, b"0", "AuthMethod=No"), (0x81, b"0", "X-a=b"), (4, b"0", "IFMarker=Yes"), (0x87, b"0")))
keep("login/moved", login(0, (0x81, b"1", "TargetAddress=[2001:db8::1]:3261,1")))
keep("login/refused", login(0, (0x81, b"2")))
MANY = [f"X-{n:061}=" for n in range(64)]
keep("login/many-keys", login(0, (0x81, b"0", "AuthMethod=None"), (0x44, b"0", *MANY), (4, b"0", *(key.replace("X", "Y") for key in MANY))))
keep("login/digest", login(8, (0x81, b"0", "AuthMethod=None"), (0x87, b"0", "HeaderDigest=CRC32C", "DataDigest=None")))

# One address in many spellings.
SPELLINGS = (f"TargetAddress=[{'0:' * zeros}:{'0' * more}1]:3260,1" for zeros in range(1, 7) for more in range(4))
keep("pdu-text/spellings", "\0".join(["TargetName=iqn.2026-01.example:image", *SPELLINGS]).encode() + b"\0")

# A discovery: what a portal sends, as it travels.
LIST = b"TargetName=iqn.2026-01.example:image\0TargetAddress=198.18.0.1:3260,1\0TargetAddress=[fe80::1]:3260,1\0"
TASK = {16: struct.pack(">I", 1), 20: b"\xff" * 4}
accepted = pdu(0x23, 0x81, b"AuthMethod=None\0") + pdu(0x23, 0x87, b"MaxRecvDataSegmentLength=8192\0")
keep("discovery/list", accepted + pdu(0x24, 0x80, LIST, TASK) + pdu(0x26, 0x80, b""))
keep("discovery/parts", accepted + pdu(0x20, 0x80, b"") + pdu(0x24, 0, LIST[:50], {**TASK, 20: b"\0\0\0\1"}) + pdu(0x24, 0x80, LIST[50:], TASK))
keep("discovery/rejected", accepted + pdu(0x3F, 0x80, b"", {2: b"\5"}))

# LUKS2: the binary part, 512 bytes of it, and the JSON.
SALT = base64.b64encode(bytes([5] * 32)).decode()
KDF = {"type": "argon2id", "salt": SALT, "time": 4, "memory": 65536, "cpus": 2}
PBKDF = {"type": "pbkdf2", "hash": "sha256", "iterations": 1000, "salt": SALT}


def keyslot(kdf, **others):
    area = {"type": "raw", "offset": "32768", "size": "258048", "encryption": "aes-xts-plain64", "key_size": 64}
    af = {"type": "luks1", "stripes": 4000, "hash": "sha256"}
    return {"type": "luks2", "key_size": 64, "af": af, "area": area, "kdf": kdf, **others}


def luks(keyslots, **config):
    segment = {"type": "crypt", "offset": "16777216", "size": "dynamic", "iv_tweak": "0", "encryption": "aes-xts-plain64", "sector_size": 4096}
    digest = {**PBKDF, "keyslots": ["0", "1"], "segments": ["0"], "digest": SALT}
    text = {"keyslots": keyslots, "tokens": {}, "segments": {"0": segment}, "digests": {"0": digest}}
    return json.dumps({**text, "config": {"json_size": "12288", "keyslots_size": "16744448", **config}}).encode()


UUID = b"01234567-89ab-cdef-0123-456789abcdef"
BINARY = {0: b"LUKS\xba\xbe\0\2", 8: struct.pack(">2Q", 0x4000, 3), 72: b"sha256", 104: b"\7" * 64, 168: UUID}
plain = luks({"0": keyslot(PBKDF)})
both = luks({"0": keyslot(KDF), "1": keyslot(PBKDF, priority=2)}, flags=["allow-discards", "no-read-workqueue"])
keep("luks-signed/pbkdf2", at(BINARY, 512) + plain)
keep("luks-signed/two-keyslots", at(BINARY, 512) + both)
keep("luks-signed/requirement", at(BINARY, 512) + luks({}, requirements={"mandatory": ["online-reencrypt"]}))
whole = at({**BINARY, 4096: plain}, 0x4000)
keep("luks/version2", at({0: whole, 448: hashlib.sha256(whole).digest()}, 0x4000))
version1 = struct.pack(">6sH32s32s32s2I", b"LUKS\xba\xbe", 1, b"aes", b"xts-plain64", b"sha256", 4096, 64)
version1 += struct.pack(">20s32sI40s", bytes([9] * 20), bytes([5] * 32), 1000, UUID)
for i in range(8):
    state = 0xDEAD if i % 2 else 0x00AC71F3
    version1 += struct.pack(">2I32s2I", state, 1000, bytes([i] * 32), 8 + 504 * i, 4000)
keep("luks/version1", version1)

# Partition tables on small disks.
GUID = bytes(range(16))
entries = at({0: GUID + GUID + struct.pack("<2Q", 4, 5), 256: GUID + GUID + struct.pack("<2Q", 6, 6)}, 512)
header = {0: b"EFI PART\0\0\1\0" + struct.pack("<I", 92), 24: struct.pack("<2Q", 1, 7), 72: struct.pack("<Q3I", 2, 4, 128, binascii.crc32(entries))}
header[16] = struct.pack("<I", binascii.crc32(at(header, 92)))


def mbr(*partitions):
    places = {446 + 16 * i: struct.pack("<4xB3x2I", *partition) for i, partition in enumerate(partitions)}
    return at({**places, 510: b"\x55\xaa"}, 512)


gpt = mbr((0xEE, 1, 7)) + at(header, 512) + entries + bytes(5 * 512)
keep("gpt/first", gpt)
keep("gpt/spare", gpt[:512] + bytes(512) + gpt[1024:3584] + at({**header}, 512))
keep("gpt/mbr", mbr((0x83, 1, 2), (0x83, 3, 1)) + bytes(4 * 512))
keep("gpt-signed/first", gpt)
keep("mbr/primary", mbr((0x83, 1, 2), (0x83, 3, 1)) + bytes(4 * 512))
keep("mbr/logical", mbr((0x83, 1, 1), (0x05, 2, 6)) + mbr() + mbr((0x83, 1, 1), (0x05, 2, 2)) + bytes(512) + mbr((0x83, 1, 1)) + bytes(3 * 512))

# LVM2: labels and a metadata area on a device of 8 sectors.
TEXT = open("lvm-text/linear", "rb").read() + b"\0"


def lvm_crc(data):
    crc = 0xF597A6CF
    return binascii.crc32(data, crc ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


label = {0: b"LABELONE" + struct.pack("<Q", 1), 20: struct.pack("<I", 32) + b"LVM2 001" + b"aObu8GxCSw6fP3dXSxL8aA9fe43K85X2"}
label |= {64: struct.pack("<Q", 1 << 24), 72: struct.pack("<4Q", 1 << 20, 0, 0, 0), 104: struct.pack("<2Q", 2048, 2048)}
label[16] = struct.pack("<I", lvm_crc(at(label, 512)[20:]))
area = {4: b" LVM2 x[5A%r0N*>" + struct.pack("<I2Q", 1, 2048, 2048), 40: struct.pack("<2Q2I", 512, len(TEXT), lvm_crc(TEXT), 0)}
area[0] = struct.pack("<I", lvm_crc(at(area, 512)[4:]))
device = bytes(512) + at(label, 512) + bytes(1024) + at(area, 512) + TEXT
device += bytes(-len(device) % 512)
keep("lvm/linear", device)
keep("lvm-signed/linear", device)

# VPD pages (SPC-4, 7.8), and what the kernel prints of a map.
def designator(code_set, kind, value):
    return bytes([code_set, kind, 0, len(value)]) + value


def vpd(page, data):
    return struct.pack(">2BH", 0, page, len(data)) + data


T10 = designator(2, 1, b"IET     00010001" + bytes(8))
NAA = designator(1, 3, bytes.fromhex("60000000000000000e00000000010001"))
keep("vpd/naa", vpd(0x83, T10 + NAA))
keep("vpd/t10", vpd(0x83, designator(1, 0x14, bytes([0, 0, 0, 1])) + T10))
keep("vpd/serial", vpd(0x83, b"") + vpd(0x80, b" beaf11   "))
TABLE = "1 queue_if_no_path 1 alua 2 1 service-time 0 1 2 8:0 1 1 service-time 0 1 2 8:16 1 1 "
keep("multipath-table/table", TABLE.encode())
keep("multipath-table/status", b"2 0 0 0 2 1 A 0 1 2 8:0 F 3 0 1 E 0 1 2 8:16 A 0 0 1 ")
