# What disklessd is compared with: a sensor in Flask, as StackStorm runs one, in a single process, and a generator of iPXE
# scripts beside it. usage: sensor.py PORT FOLDER; FOLDER/boot.ipxe is the script as a Jinja template.
import json
import sys

from flask import Flask, render_template, request

port, folder = int(sys.argv[1]), sys.argv[2]
app = Flask(__name__, template_folder=folder)
nodes = {f"52:54:00:00:{n >> 8:02x}:{n & 255:02x}": f"node{n:04}" for n in range(1, 1001)}
# A sensor hands what it hears to a message broker; an unsynced line in a file is less work than that.
triggers = open(f"{folder}/triggers.json", "a")


def dispatch(trigger, payload):
    triggers.write(json.dumps({"trigger": trigger, "payload": payload}) + "\n")
    triggers.flush()


@app.get("/boot.ipxe")
def boot():
    node = nodes[request.args["mac"]]
    return render_template("boot.ipxe", node=node), {"Content-Type": "text/plain"}


@app.get("/phone_home/ipxe")
def ipxe():
    dispatch("diskless.ipxe.phone_home", {"hostname": request.args["hostname"]})
    return "ok\n"


@app.post("/phone_home/cloudinit")
def cloudinit():
    dispatch("diskless.cloudinit.phone_home", request.form.to_dict())
    return "ok\n"


app.run(host="127.0.0.1", port=port)
