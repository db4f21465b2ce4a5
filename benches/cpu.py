"""CPU time per request of tinyscale and of nginx as a plain proxy, in interleaved pairs. See README.md.

Refuses to judge: it measures and prints; what is good enough is for people to say.
"""

import argparse
import hashlib
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import HTTPRedirectHandler, ProxyHandler, build_opener
from urllib.error import HTTPError

FRONT, SERVER = "bench-front-secret", "bench-server-secret"
API = "/bigbluebutton/api"
PROXY_CORE, OTHER_CORE = "0", "1"
# Below this share of its core the proxy was waiting for somebody else.
BUSY = 0.85

PEOPLE = "".join(
    f"<attendee><userID>w_{n:012}</userID><fullName>Person {n}</fullName><role>VIEWER</role>"
    "<isPresenter>false</isPresenter><isListeningOnly>true</isListeningOnly>"
    "<hasJoinedVoice>false</hasJoinedVoice><hasVideo>false</hasVideo><clientType>HTML5</clientType></attendee>"
    for n in range(6)
)
INSIDE = (
    "<meetingName>Bench</meetingName><meetingID>room</meetingID>"
    "<internalMeetingID>4f1b3e2f7bfa8b5e5d1b1de33a8cd44b04c0a2f4-1700000000000</internalMeetingID>"
    "<createTime>1700000000000</createTime><running>true</running><hasUserJoined>true</hasUserJoined>"
    "<recording>false</recording><participantCount>6</participantCount><listenerCount>6</listenerCount>"
    "<voiceParticipantCount>0</voiceParticipantCount><videoCount>0</videoCount><moderatorCount>0</moderatorCount>"
    f"<attendees>{PEOPLE}</attendees><metadata/><isBreakout>false</isBreakout>"
)
SUCCESS = "<response><returncode>SUCCESS</returncode>"
ANSWERS = {
    "getMeetings": f"{SUCCESS}<meetings><meeting>{INSIDE}</meeting></meetings></response>",
    "getMeetingInfo": f"{SUCCESS}{INSIDE}</response>",
    "isMeetingRunning": f"{SUCCESS}<running>false</running></response>",
}
# What is asked, and what the server's own answer looks like.
CASES = [
    ("isMeetingRunning", "meetingID=unknown", "<running>false"),
    ("join", "meetingID=room&fullName=Ada+Lovelace&role=VIEWER", "302"),
    ("getMeetingInfo", "meetingID=room", "<meetingName>Bench"),
]


def signed(call, query, secret):
    return f"{query}&checksum={hashlib.sha256((call + query + secret).encode()).hexdigest()}"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def nginx_conf(folder, name, body):
    path = folder / f"{name}.conf"
    path.write_text(
        f"daemon off; master_process off; worker_processes 1; pid {folder}/{name}.pid; error_log stderr crit;\n"
        "events { worker_connections 1024; }\n"
        "http { access_log off; keepalive_requests 100000000; keepalive_timeout 600;\n"
        f"client_body_temp_path {folder}/{name}-body; proxy_temp_path {folder}/{name}-proxy;\n"
        f"fastcgi_temp_path {folder}/{name}-f; uwsgi_temp_path {folder}/{name}-u; scgi_temp_path {folder}/{name}-s;\n"
        f"{body} }}\n"
    )
    return path


def upstream_conf(folder, port):
    places = "".join(
        f"location = {API}/{call} {{ default_type text/xml; return 200 '{answer}'; }}\n"
        for call, answer in ANSWERS.items()
    )
    places += f"location = {API}/join {{ return 302 http://127.0.0.1:{port}/html5client/?sessionToken=abcdefgh12345678; }}\n"
    return nginx_conf(folder, "upstream", f"server {{ listen 127.0.0.1:{port} backlog=1024;\n{places} }}")


def proxy_conf(folder, port, upstream):
    return nginx_conf(
        folder,
        "proxy",
        f"upstream bbb {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 100000000; }}\n"
        f"server {{ listen 127.0.0.1:{port} backlog=1024; location / {{ proxy_pass http://bbb;\n"
        'proxy_http_version 1.1; proxy_set_header Connection ""; proxy_redirect off; } }',
    )


def tinyscale_conf(folder, port, upstream):
    path = folder / "tinyscale.yaml"
    path.write_text(
        f'listen: [{{ address: "127.0.0.1:{port}" }}]\nsecrets: [{{ env: BENCH_FRONT }}]\nthreads: 1\n'
        f'servers:\n  - {{ name: bbb1, url: "http://127.0.0.1:{upstream}", secret: "{SERVER}" }}\n'
    )
    return path


def start(core, command, folder, **environment):
    return subprocess.Popen(
        ["taskset", "-c", core, *map(str, command)], cwd=folder, env={**os.environ, **environment},
        stdout=subprocess.DEVNULL, stderr=(folder / f"{Path(str(command[0])).name}.log").open("a"))


class Stay(HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def ask(url):
    try:
        with build_opener(ProxyHandler({}), Stay).open(url, timeout=5) as answer:
            return answer.read().decode()
    except HTTPError as error:
        return str(error.code)


def wait_until(url, expected):
    deadline = time.monotonic() + 30
    while True:
        try:
            answer = ask(url)
        except OSError as error:
            answer = str(error)
        if expected in answer:
            return
        if time.monotonic() > deadline:
            sys.exit(f"{url} gives {answer!r}, not {expected!r}")
        time.sleep(0.05)


def cpu_seconds(process):
    """User and system time of all threads."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(process, url, seconds, connections):
    """Microseconds of CPU per request, requests per second, share of the core."""
    before, began = cpu_seconds(process), time.monotonic()
    load = subprocess.run(
        ["taskset", "-c", OTHER_CORE, "wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", url],
        capture_output=True, text=True, check=True).stdout
    used, took = cpu_seconds(process) - before, time.monotonic() - began
    requests = int(re.search(r"(\d+) requests in", load).group(1))
    if "Non-2xx" in load or "Socket errors" in load:
        sys.exit(f"{url}\n{load}")
    return used / requests * 1e6, requests / took, used / took


def shown(values, digits=1):
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f}..{high:.{digits}f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tinyscale", type=Path, help="the release binary")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--connections", type=int, default=64)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        upstream, proxy, gateway = free_port(), free_port(), free_port()
        processes = {
            "upstream": start(OTHER_CORE, ["nginx", "-c", upstream_conf(folder, upstream)], folder),
            "nginx": start(PROXY_CORE, ["nginx", "-c", proxy_conf(folder, proxy, upstream)], folder),
            "tinyscale": start(
                PROXY_CORE,
                [arguments.tinyscale.resolve(), "-c", tinyscale_conf(folder, gateway, upstream)],
                folder, BENCH_FRONT=FRONT),
        }
        try:
            run(arguments, processes, {"nginx": proxy, "tinyscale": gateway})
        finally:
            for process in processes.values():
                process.terminate()
            for process in processes.values():
                process.wait(timeout=60)


def run(arguments, processes, ports):
    def url(who, call, query):
        return f"http://127.0.0.1:{ports[who]}{API}/{call}?{signed(call, query, FRONT)}"

    for who in ports:
        for call, query, expected in CASES:
            wait_until(url(who, call, query), expected)
            measure(processes[who], url(who, call, query), 1, arguments.connections)
    seen = {}
    for turn in range(arguments.rounds):
        for call, query, _ in CASES:
            # Whoever goes first may find the machine in another mood: take turns.
            order = list(ports) if turn % 2 else list(reversed(ports))
            for who in order:
                result = measure(processes[who], url(who, call, query), arguments.seconds, arguments.connections)
                seen.setdefault((call, who), []).append(result)
                print(f"{turn + 1} {call} {who}: {result[0]:.1f} us, {result[1]:.0f}/s, core {result[2]:.0%}", file=sys.stderr)
    report(arguments, seen)


def report(arguments, seen):
    rounds, seconds, connections = arguments.rounds, arguments.seconds, arguments.connections
    print(f"{rounds} pairs of {seconds} s, {connections} connections; median (min..max)\n")
    print("| call | nginx, CPU us/request | tinyscale, CPU us/request | ratio of pairs | requests/s, nginx | tinyscale |")
    print("|---|---|---|---|---|---|")
    idle = []
    for call, _, _ in CASES:
        nginx, ours = seen[call, "nginx"], seen[call, "tinyscale"]
        ratios = [mine[0] / other[0] for mine, other in zip(ours, nginx)]
        columns = [shown([one[0] for one in nginx]), shown([one[0] for one in ours]), shown(ratios, 2),
                   f"{statistics.median(one[1] for one in nginx):.0f}", f"{statistics.median(one[1] for one in ours):.0f}"]
        print(f"| {call} | {' | '.join(columns)} |")
        for who, results in (("nginx", nginx), ("tinyscale", ours)):
            share = statistics.median(one[2] for one in results)
            if share < BUSY:
                idle.append(f"{who} had its core only to {share:.0%} in {call}: its requests/s say how fast the load or the upstream was.")
    print("\n" + "\n".join(idle) if idle else "\nThe proxy was the busy one in every case.")


main()
