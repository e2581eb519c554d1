# Works out the vectors of pickup_test.go without the package: python3 vectors.py
import base64, hashlib, hmac


def hkdf(master, salt, info, n):
    prk = hmac.new(salt, master, hashlib.sha256).digest()
    return hmac.new(prk, info + b"\x01", hashlib.sha256).digest()[:n]


def key(locker, generation):
    return hkdf(bytes([7]) * 32, b"yizhan pickup 1", b"locker\0%s\0%d" % (locker, generation), 32)


def mac(purpose, n):
    return hmac.new(key(b"lk-qingshi", 1), b"%s\0d-0123456789abcdef\0%d" % (purpose, n), hashlib.sha256).digest()


print(key(b"lk-qingshi", 1).hex(), key(b"lk-qingshi", 2).hex(), key(b"lk-longchi", 1).hex(), sep="\n")
print(*("%06d" % (int.from_bytes(mac(b"code", n)[:8], "big") % 10**6) for n in range(4)))
print("YZP1:d-0123456789abcdef:0:" + base64.b32encode(mac(b"ticket", 0)[:16]).decode().rstrip("="))
