# SPDX-License-Identifier: Apache-2.0
"""`sockwarden dns`, `names`, and names in the other verbs, against a resolver; and workers that misbehave."""
import collections
import contextlib
import json
import subprocess

import pytest

from harness import dns_world, fakes
from harness.dns_world import HOST, SERVER, SERVER6
from harness.scale import SLOW, binary, wait_until
from harness.sockets import connect, listen
from harness.terminal import Terminal

EMPTY = {"count": 0, "sum": 0, "min": 0, "max": 0, "zeroes": 0, "scale": 0, "offset": 0, "buckets": []}
MANY = 400


@pytest.fixture(scope="module", name="world")
def make_world(tmp_path_factory):
    """Asked for many domains, some of which exist, over both protocols."""
    with dns_world.running(tmp_path_factory.mktemp("dns")) as world:
        for _ in range(3):
            world.dig("www.example.org")
        world.dig("+tcp", "two.example.org")
        world.dig("six.example.org", "AAAA")
        with open(world.resolver.directory / "many", "w", encoding="ascii") as file:
            file.writelines(f"host-{i}.many.example.org A\n" for i in range(MANY))
        world.host.run("dnsperf", "-s", SERVER, "-d", file.name, "-n", "1", "-c", "1", "-q", "20")
        wait_until(lambda: sum(row["answers"] for row in world.rows().values()) >= MANY + 5, 10,
                   "all answers")
        wait_until(lambda: all(row["queries"] == row["answers"] + row["timeouts"]
                               for row in world.rows().values()), 10, "no query waits")
        yield world


def run(directory, *arguments, **options):
    return subprocess.run([binary("cli/sockwarden"), arguments[0], "--runtime-dir", str(directory),
                           *arguments[1:]], capture_output=True, text=True, check=False,
                          timeout=20 * SLOW, stdin=subprocess.DEVNULL, **options)


def good(result):
    assert result.returncode == 0 and result.stderr == "", result.stderr
    return result.stdout.splitlines()


def dns(world, *options):
    """The objects that --json printed."""
    return [json.loads(line) for line in good(world.tracer.command("dns", "--json", *options))]


def table(world, *options):
    """{first column: {title: cell}} of the table."""
    titles, *lines = [line.split() for line in good(world.tracer.command("dns", *options))]
    return {line[0]: dict(zip(titles, line, strict=True)) for line in lines}


def test_json_is_every_row_of_every_page_as_the_worker_gives_it_most_queries_first(world):
    rows = world.rows()
    shown = dns(world)
    key = ("server", "protocol", "domain", "type")
    assert len(shown) == len(rows) > MANY
    assert {tuple(row[name] for name in key): row for row in shown} == rows
    assert list(shown[0]) == list(next(iter(rows.values())))
    queries = [row["queries"] for row in shown]
    assert queries == sorted(queries, reverse=True)
    assert "more" in world.tracer.query({"op": "dns"}), "there were several pages"


def test_the_table_has_what_the_row_has(world):
    [line] = [line.split() for line in good(world.tracer.command(
        "dns", "--no-header", "--domain", "www.example.org", "--type", "a"))]
    row = world.rows()[(SERVER, "udp", "www.example.org", "A")]
    assert line[:5] == [HOST, SERVER, "udp", "www.example.org", "A"]
    assert line[5:9] == [str(row["queries"]), str(row["answers"]), str(row["timeouts"]),
                         f"NOERROR={row['answers']}"]
    assert row["latency_us"]["count"] == row["answers"]
    assert len(line) == 12 and all(cell.endswith(("us", "ms", "s")) for cell in line[9:])
    titles = good(world.tracer.command("dns", "--limit", "1"))[0].split()
    assert titles == ["CLIENT", "SERVER", "PROTO", "DOMAIN", "TYPE", "QUERIES", "ANSWERS", "TIMEOUTS",
                      "RCODES", "P50", "P95", "P99"]


def test_narrow_sort_and_limit(world):
    assert len(dns(world, "--limit", "3")) == 3
    many = dns(world, "--domain", "MANY.example.org.", "--sort", "-domain")
    assert len(many) == MANY
    assert [row["domain"] for row in many] == sorted((row["domain"] for row in many), reverse=True)
    assert {row["type"] for row in dns(world, "--type", "AAAA")} == {"AAAA"}
    assert dns(world, "--server", "10.80.1.77") == [] and dns(world, "--client", SERVER) == []
    assert len(dns(world, "--server", f"::ffff:{SERVER}", "--client", HOST)) == len(world.rows())
    slowest = dns(world, "--sort", "max", "--limit", "1")[0]
    assert max(slowest["latency_us"]["max"], slowest["failure_latency_us"]["max"]) == max(
        row[name]["max"] for row in world.rows().values()
        for name in ("latency_us", "failure_latency_us"))


@pytest.mark.parametrize("by", ["client", "server", "protocol", "domain", "type"])
def test_groups_add_up_to_all_rows(world, by):
    rows = world.rows().values()
    groups = dns(world, "--by", by)
    expected = collections.defaultdict(collections.Counter)
    for row in rows:
        for name in ("queries", "retries", "answers", "timeouts"):
            expected[row[by]][name] += row[name]
        for rcode, count in row["rcodes"].items():
            expected[row[by]][rcode] += count
        for name in ("latency_us", "failure_latency_us"):
            expected[row[by]][name] += row[name]["sum"]
    assert len(groups) == len(expected)
    for group in groups:
        found = collections.Counter({
            **{name: group[name] for name in ("queries", "retries", "answers", "timeouts")},
            **group["rcodes"],
            **{name: group[name]["sum"] for name in ("latency_us", "failure_latency_us")}})
        assert found == expected[group[by]], group
        assert list(group)[0] == by and not group["overflow"]
        for name in ("latency_us", "failure_latency_us"):
            assert sum(group[name]["buckets"]) + group[name]["zeroes"] == group[name]["count"]
    shown = table(world, "--by", by)
    assert {key: int(cells["QUERIES"]) for key, cells in shown.items()} == {
        key: count["queries"] for key, count in expected.items()}


def test_by_code_each_has_its_answers_and_its_latencies(world):
    rows = world.rows().values()
    expected = collections.Counter()
    for row in rows:
        expected.update(row["rcodes"])
    groups = {group["rcode"]: group for group in dns(world, "--by", "rcode")}
    assert {rcode: group["answers"] for rcode, group in groups.items()} == dict(expected)
    assert groups["NOERROR"]["latency_us"]["count"] == expected["NOERROR"]
    # A row of this resolver has no two kinds of failure.
    assert groups["NXDOMAIN"]["failure_latency_us"]["count"] == expected["NXDOMAIN"] >= MANY
    assert groups["NXDOMAIN"]["retries"] is None
    shown = table(world, "--by", "rcode")
    assert list(shown) == ["NXDOMAIN", "NOERROR"], "the most first"
    assert list(shown["NOERROR"]) == ["RCODE", "QUERIES", "P50", "P95", "P99"]


def test_names_of_addresses(world):
    lines = good(world.tracer.command("names", SERVER, "10.80.1.3", "10.9.9.9", SERVER6))
    assert [line.split() for line in lines[:1]] == [["ADDRESS", "NAMES"]]
    shown = {line.split()[0]: line.split()[1:] for line in lines[1:]}
    assert shown["10.80.1.3"] == ["two.example.org"] and shown["10.9.9.9"] == ["-"]
    assert shown[SERVER6] == ["six.example.org"]
    assert sorted(shown[SERVER]) == ["two.example.org", "www.example.org"]
    raw = good(world.tracer.command("names", "--json", SERVER))
    assert [json.loads(line) for line in raw] == world.tracer.query(
        {"op": "names", "ips": [SERVER]})["names"]


def test_more_addresses_than_a_request_holds_are_asked_for_with_several(world):
    addresses = [f"10.1.{i // 256}.{i % 256}" for i in range(321)]
    addresses[200] = "10.80.1.3"
    before = world.counters()["query.requests"]
    shown = [json.loads(line) for line in good(world.tracer.command("names", "--json", *addresses))]
    assert [item["ip"] for item in shown] == addresses
    assert [item["names"] for item in shown if item["names"]] == [["two.example.org"]]
    # Three, and the status itself.
    assert world.counters()["query.requests"] == before + 4


@contextlib.contextmanager
def connected(world, port):
    listener = listen(world.server, "10.80.1.2", port)
    client = connect(world.host, "10.80.1.2", port)
    peer = listener.accept()[0]
    try:
        yield client
    finally:
        for sock in (client, peer, listener):
            sock.close()


def named(world):
    """The newest name of the server."""
    return world.tracer.query({"op": "names", "ips": [SERVER]})["names"][0]["names"][0]


def test_conns_shows_a_name_where_there_is_one_and_the_address_with_no_resolve(world):
    mine = ("conns", "--netns", str(world.host.inode), "--port", "8081", "--no-header", "--fields",
            "remote,remote.ip,local")
    with connected(world, 8081):
        [[name, address, local]] = [line.split() for line in good(world.tracer.command(*mine))]
        assert name == f"{named(world)}:8081" and address == SERVER
        assert local.startswith(f"{HOST}:")
        for option in ("-n", "--no-resolve"):
            [[name, *_]] = [line.split() for line in good(world.tracer.command(*mine, option))]
            assert name == f"{SERVER}:8081"
        [raw] = good(world.tracer.command(*mine, "--json"))
        assert json.loads(raw)["remote"]["ip"] == SERVER


def test_top_shows_names_and_n_turns_to_addresses_and_back(world):
    with contextlib.closing(Terminal(100, 24)) as terminal, connected(world, 8082):
        terminal.command(binary("cli/sockwarden"), "top", "--runtime-dir",
                         str(world.tracer.runtime_dir), "--interval", "0.5")
        terminal.wait("health good", 20)
        terminal.wait("example.org:8082")
        terminal.keys("n")
        terminal.wait(f"{SERVER}:8082")
        terminal.wait_gone("example.org:8082")
        terminal.keys("n")
        terminal.wait("example.org:8082")
        # A row is found by either.
        terminal.keys("/", f"{SERVER}:8082", "Enter")
        terminal.wait("with '")
        terminal.wait("example.org:8082")


class Watch:
    """A running watch that is known to listen; others of these that run are so many."""

    def __init__(self, world, *options, others=0):
        def wait_subscribers(count):
            wait_until(lambda: world.tracer.status()["gauges"]["publish.subscribers"] == count, 10,
                       f"{count} subscribers")
        # The world itself listens too; a watch of a test before may take a moment to be gone.
        wait_subscribers(1 + others)
        self.process = subprocess.Popen(
            [binary("cli/sockwarden"), "watch", "--runtime-dir", str(world.tracer.runtime_dir),
             "--timeout", str(int(20 * SLOW)), *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_subscribers(2 + others)

    def until(self, *texts):
        """Ends it once a line with all texts came; returns its lines, that one last."""
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if all(text in line for text in texts):
                break
        self.process.terminate()
        _, err = self.process.communicate()
        assert err == "" and lines and all(text in lines[-1] for text in texts), f"{lines} {err}"
        return lines


def test_watch_follows_statistics_and_names(world):
    watches = [Watch(world, "--topic", topic, *more, others=i) for i, (topic, *more)
               in enumerate([("dns.v1",), ("dns.v1", "--json"), ("names.v1",), ("names.v1", "--json")])]
    world.dig("alias.example.org")
    statistics, statistics_json, names, names_json = (
        watch.until("alias.example.org") for watch in watches)
    assert statistics[0].split()[:6] == ["TIME", "CLIENT", "SERVER", "PROTO", "DOMAIN", "TYPE"]
    cells = statistics[-1].split()
    assert cells[1:6] == [HOST, SERVER, "udp", "alias.example.org", "A"]
    assert cells[6:9] == ["1", "1", "0"] and cells[-1] == "NOERROR=1"
    assert json.loads(statistics_json[-1])["domain"] == "alias.example.org"
    assert names[0].split() == ["TIME", "TTL", "ADDRESS", "NAMES"]
    assert names[-1].split()[1:] == ["5m00s", SERVER, "alias.example.org"]
    assert json.loads(names_json[-1]) == {"ip": SERVER, "names": ["alias.example.org"], "ttl_s": 300}


def test_watch_ends_after_so_many_lines_of_any_topic(world):
    watch = Watch(world, "--topic", "names.v1", "--no-header", "--count", "1")
    world.dig("far.example.org")
    out, err = watch.process.communicate()
    assert watch.process.returncode == 0 and err == "" and len(out.splitlines()) == 1


def test_watch_shows_a_connection_by_its_name(world):
    for options, shown in (((), "example.org:8083"), (("-n",), f" {SERVER}:8083")):
        watch = Watch(world, "--no-header", *options)
        with connected(world, 8083):
            pass
        assert shown in watch.until(":8083", " -> ")[-1]


@pytest.mark.parametrize("arguments", [
    ["dns", "--by", "nope"], ["dns", "--by", "client,client"], ["dns", "--by", ""],
    ["dns", "--sort", "nope"], ["dns", "--server", "10.0.0.0/8"], ["dns", "--client", "host"],
    ["dns", "--limit", "0"], ["dns", "surplus"], ["names"], ["names", "--json"],
    ["names", "10.0.0.1", "10.0.0"], ["names", "www.example.org"], ["names", "--sort", "x", "10.0.0.1"]])
def test_a_wrong_option_is_one_line(tmp_path, arguments):
    result = run(tmp_path, *arguments)
    assert result.returncode == 2 and result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert f"sockwarden help {arguments[0]}" in result.stderr


@pytest.mark.parametrize("arguments", [["dns"], ["names", "10.0.0.1"]])
def test_without_a_worker_the_line_says_what_to_start(tmp_path, arguments):
    result = run(tmp_path, *arguments)
    assert result.returncode == 6 and result.stdout == ""
    assert len(result.stderr.splitlines()) == 1 and "sockwarden-worker" in result.stderr


def row(**facts):
    whole = {"client": "10.0.0.5", "server": "10.0.0.1", "server_port": 53, "protocol": "udp",
             "domain": "a.example", "type": "A", "queries": 2, "retries": 0, "answers": 2,
             "timeouts": 0, "rcodes": {"NOERROR": 2},
             "latency_us": {"count": 2, "sum": 401, "min": 200, "max": 201, "zeroes": 0, "scale": 3,
                            "offset": 61, "buckets": [2]},
             "failure_latency_us": EMPTY}
    return {**whole, **facts}


def test_the_overflow_row_is_shown_as_such(tmp_path):
    nothing = {name: None for name in ("client", "server", "server_port", "protocol", "domain", "type")}
    with fakes.answering(tmp_path, {"ok": True, "dns": [row(), row(**nothing, queries=9)]}):
        lines = good(run(tmp_path, "dns", "--no-header"))
        assert lines[0].split()[:6] == ["(overflow)"] * 5 + ["9"]
        groups = [json.loads(line) for line in good(run(tmp_path, "dns", "--json", "--by", "domain"))]
        assert [(group["domain"], group["overflow"]) for group in groups] == [
            (None, True), ("a.example", False)]
        assert good(run(tmp_path, "dns", "--no-header", "--domain", "example"))[0].split()[0] == "10.0.0.5"


def test_hostile_names_are_made_harmless(tmp_path):
    evil = "a\x1b[2J\u009b\u202eb.example"
    with fakes.answering(tmp_path, {"ok": True, "dns": [row(domain=evil)],
                                    "names": [{"ip": "10.0.0.1", "names": [evil]}]}):
        for arguments in (["dns"], ["dns", "--by", "domain"], ["names", "10.0.0.1"]):
            text = run(tmp_path, *arguments, env={"LC_ALL": "C.UTF-8"}).stdout
            assert r"a\x1b[2J\u009b\u202eb.example" in text
        for arguments in (["dns", "--json"], ["dns", "--json", "--by", "domain"],
                          ["names", "--json", "10.0.0.1"]):
            text = run(tmp_path, *arguments).stdout
            assert "\x1b" not in text and "\u009b" not in text
            value = json.loads(text)
            assert value.get("domain", value.get("names")) in (evil, [evil])


@pytest.mark.parametrize("arguments", [["dns"], ["names", "10.0.0.1"]])
@pytest.mark.parametrize("answer, code", [
    ({"ok": False, "error": "bad_request", "message": "no"}, 2),
    ({"ok": False, "error": "unknown_op", "message": "no"}, 4),
    ({"ok": False, "error": "busy", "message": "no"}, 1),
    ({"ok": True}, 1), ("nonsense", 1), ('{"ok":true,"dns":[{]},"names":[{]}', 1),
    ({"ok": False, "error": "busy", "message": "\x1b[2J\nline"}, 1)])
def test_a_worker_that_refuses_or_rambles_is_told_in_one_line(tmp_path, arguments, answer, code):
    with fakes.answering(tmp_path, answer):
        result = run(tmp_path, *arguments)
    assert result.returncode == code, result.stderr
    assert len(result.stderr.splitlines()) == 1 and "\x1b" not in result.stderr


@pytest.mark.parametrize("facts", [
    {"queries": -1}, {"latency_us": {**EMPTY, "scale": 99}},
    {"latency_us": {**EMPTY, "scale": 6, "offset": 1, "buckets": [1] * 23}}, {"rcodes": None}])
def test_a_row_that_is_none_is_told(tmp_path, facts):
    with fakes.answering(tmp_path, {"ok": True, "dns": [row(), row(**facts)]}):
        result = run(tmp_path, "dns")
    assert result.returncode == 1 and result.stdout == ""
    assert len(result.stderr.splitlines()) == 1 and "not understood" in result.stderr


def test_a_worker_without_dns_has_an_empty_table(tmp_path):
    with fakes.answering(tmp_path, {"ok": True, "dns": [], "names": [{"ip": "10.0.0.1", "names": []}]}):
        assert len(good(run(tmp_path, "dns"))) == 1
        assert good(run(tmp_path, "dns", "--json")) == []
        assert good(run(tmp_path, "names", "--no-header", "10.0.0.1"))[0].split() == ["10.0.0.1", "-"]
