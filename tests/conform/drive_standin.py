"""Drives the BankID stand-in with pybankid, a client that others wrote, and has its verifier judge what the phone made.

Arguments: the folder that the stand-in wrote, the API's address, the phone's address.
"""
import json
import ssl
import sys
import urllib.request
import warnings

import httpx
from bankid import BankIDClient, exceptions
from bankid.experimental.verify import verify_bankid_response

warnings.simplefilter("ignore")
folder, api, phone = sys.argv[1:4]
checks = 0


def check(what, holds):
    global checks
    checks += 1
    if not holds:
        raise SystemExit(f"does not hold: {what}")


class AtStandIn(BankIDClient):
    """The client with other addresses and roots; everything else is theirs."""

    def __init__(self):
        super().__init__((f"{folder}/party.pem", f"{folder}/party.key"))
        trust = ssl.create_default_context(cafile=f"{folder}/api-root.pem")
        trust.load_cert_chain(f"{folder}/party.pem", f"{folder}/party.key")
        self.client = httpx.Client(headers={"Content-Type": "application/json"}, verify=trust)
        for name in ("auth", "sign", "phone_auth", "phone_sign", "collect", "cancel"):
            setattr(self, f"_{name}_endpoint", f"{api}/{name.replace('_', '/')}")


def press(button, **said):
    request = urllib.request.Request(phone + button, json.dumps(said).encode(), method="POST")
    try:
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


client = AtStandIn()
root = open(f"{folder}/people-root.pem").read()

# By code, to the end, with the proof judged.
order = client.authenticate(end_user_ip="192.0.2.1", user_visible_data="Hej")
check("pending", client.collect(order["orderRef"])["hintCode"] == "outstandingTransaction")
code = client.generate_qr_code_content(order["qrStartToken"], __import__("time").time(), order["qrStartSecret"])
scanned = press("scan", code=code)
check("the code is read", scanned.get("text") == "Hej")
check("somebody else's code is not", "error" in press("scan", code=code[:-1] + ("0" if code[-1] != "0" else "1")))
check("the app is open", client.collect(order["orderRef"])["hintCode"] == "userSign")
press("approve", order=scanned["order"], person="asa")
done = client.collect(order["orderRef"])
check("complete", done["status"] == "complete" and done["completionData"]["user"]["personalNumber"] == "199006292362")
verify_bankid_response(done, True, root)
checks += 1
tampered = json.loads(json.dumps(done))
tampered["completionData"]["ocspResponse"] = tampered["completionData"]["ocspResponse"][:-8] + "AAAAAAA="
try:
    verify_bankid_response(tampered, True, root)
    raise SystemExit("a changed OCSP response passes")
except (AssertionError, ValueError):
    checks += 1
try:
    client.collect(order["orderRef"])
    raise SystemExit("an end is told twice")
except exceptions.InvalidParametersError:
    checks += 1

# A signature, on the same device.
order = client.sign("192.0.2.1", user_visible_data="Jag svarar", user_non_visible_data="hash")
opened = press("open", address=f"bankid:///?autostarttoken={order['autoStartToken']}&redirect=null")
check("the app opens", opened.get("order") == order["orderRef"])
press("approve", order=order["orderRef"], person="bo")
done = client.collect(order["orderRef"])
check("signed", done["completionData"]["user"]["surname"] == "EK")
verify_bankid_response(done, True, root)
checks += 1

# Called off by the person, by us, and with somebody on the phone.
order = client.authenticate("192.0.2.1")
press("cancel", order=order["orderRef"])
check("cancelled by them", client.collect(order["orderRef"])["hintCode"] == "userCancel")
order = client.authenticate("192.0.2.1")
check("cancelled by us", client.cancel(order["orderRef"]))
try:
    client.collect(order["orderRef"])
    raise SystemExit("an order that was called off is still there")
except exceptions.InvalidParametersError:
    checks += 1
order = client.phone_authenticate("199006292362", "RP")
check("in a call", client.collect(order["orderRef"])["hintCode"] == "userCallConfirm")
for hint in ("expiredTransaction", "certificateErr", "startFailed", "userDeclinedCall", "notSupportedByUserApp", "transactionRiskBlocked"):
    order = client.authenticate("192.0.2.1")
    press("fail", order=order["orderRef"], hint=hint)
    told = client.collect(order["orderRef"])
    check(hint, told["status"] == "failed" and told["hintCode"] == hint)

# Nobody without a certificate.
try:
    httpx.Client(verify=ssl.create_default_context(cafile=f"{folder}/api-root.pem")).post(f"{api}/auth", json={})
    raise SystemExit("anybody may call")
except httpx.TransportError:
    checks += 1
print(f"{checks} checks")
