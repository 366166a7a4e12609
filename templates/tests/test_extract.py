"""The extract against a Socrata with faults: what is in the lake is whole, or says that it is not."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import boto3
import made_requests
import pytest
import requests
from conftest import TEMPLATES, files_below, run
from moto import mock_aws

import extract
import storage

SCRIPT = TEMPLATES / "nyc311/extract.py"
ROWS = made_requests.requests("2020-01-01", 3, 120)
DAY = datetime.date(2020, 1, 2)


@pytest.fixture
def source(socrata):
    socrata.load("erm2-nwe9", ROWS)
    return socrata


def arguments(source, raw, *more: object) -> list[str]:
    return ["--raw", str(raw), "--url", source.url, "--backoff", "0", *map(str, more)]


def manifest_of(folder) -> dict:
    return json.loads((folder / extract.MANIFEST).read_text())


def keys_in(folder) -> list[str]:
    pages = sorted(folder.glob("page-*.json"))
    return [json.loads(line)["unique_key"] for page in pages for line in page.read_text().splitlines()]


def expected(column: str, day: str = "2020-01-02") -> list[str]:
    return sorted(row["unique_key"] for row in ROWS if row.get(column, "")[:10] == day)


def test_a_day_has_its_new_requests_and_its_updates_in_two_trees(source, tmp_path, capsys):
    assert extract.main(arguments(source, tmp_path, "--day", DAY, "--page", 50)) == 0
    new, updates = tmp_path / "2020/01/02", tmp_path / "updates/2020/01/02"
    assert sorted(keys_in(new)) == expected("created_date")
    assert sorted(keys_in(updates)) == expected("closed_date")
    assert len(expected("created_date")) == 120 and 50 < len(expected("closed_date")) < 200
    manifest = manifest_of(new)
    assert manifest["rows"] == 120 and [page["rows"] for page in manifest["pages"]] == [50, 50, 20]
    for page in manifest["pages"]:
        content = (new / page["name"]).read_bytes()
        assert (page["bytes"], page["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert manifest_of(updates)["datasets"].keys() == {"76ig-c548", "erm2-nwe9"}
    assert json.loads(capsys.readouterr().out)["loaded"] == 2


def test_every_page_is_ordered_because_unordered_pages_lose_rows(source, tmp_path):
    client = extract.connect(source.url, None, backoff=0)
    unordered = [row for offset in (0, 100, 200, 300) for row in client.get("erm2-nwe9", limit=100, offset=offset)]
    assert len({row["unique_key"] for row in unordered}) < len(ROWS), "the fake is tamer than Socrata"
    source.seen.clear()
    assert extract.main(arguments(source, tmp_path, "--day", DAY, "--page", 7)) == 0
    pages = [query for _, query, _ in source.seen if "$select" not in query]
    assert len(pages) > 30 and all(query["$order"] == ":id" for query in pages)
    keys = keys_in(tmp_path / "2020/01/02")
    assert len(keys) == len(set(keys)) == 120


def test_requests_of_before_2020_come_from_the_history(source, tmp_path):
    source.load("76ig-c548", made_requests.requests("2019-12-30", 2, 10, first_key=1))
    kinds = ["--kinds", "new", "--from", "2019-12-31", "--to", "2020-01-01"]
    assert extract.main(arguments(source, tmp_path, *kinds)) == 0
    assert manifest_of(tmp_path / "2019/12/31")["datasets"] == {"76ig-c548": 10}
    assert manifest_of(tmp_path / "2020/01/01")["datasets"] == {"erm2-nwe9": 120}


def test_updates_of_old_requests_are_found_in_the_history(source, tmp_path):
    old = [row for row in made_requests.requests("2019-12-30", 3, 40, first_key=1) if row["created_date"] < "2020"]
    source.load("76ig-c548", old)
    assert extract.main(arguments(source, tmp_path, "--kinds", "updates", "--day", "2020-01-01")) == 0
    wanted = sorted(row["unique_key"] for row in old if row.get("closed_date", "")[:10] == "2020-01-01")
    found = keys_in(tmp_path / "updates/2020/01/01")
    assert wanted and set(wanted) < set(found)


@pytest.mark.parametrize("fault", [429, 500, 502, 503, 504, "cut"])
def test_faults_that_pass_are_waited_out(source, tmp_path, fault):
    source.faults[:] = [fault, fault]
    assert extract.main(arguments(source, tmp_path / "a", "--day", DAY, "--page", 50)) == 0
    assert source.faults == []
    assert extract.main(arguments(source, tmp_path / "b", "--day", DAY, "--page", 50)) == 0
    assert files_below(tmp_path / "a") == files_below(tmp_path / "b")


def test_waits_as_long_as_the_server_asks(source, tmp_path):
    source.server.retry_after = "1"
    source.faults[:] = [429]
    started = time.monotonic()
    assert extract.main(arguments(source, tmp_path, "--day", DAY, "--kinds", "new")) == 0
    assert time.monotonic() - started >= 1


def test_does_not_wait_a_day_because_the_server_asks():
    answer = requests.models.Response()
    answer.headers = {"Retry-After": "86400"}
    retry = extract.BoundedRetry(total=1)
    assert retry.get_retry_after(answer) == extract.LONGEST_PAUSE


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_refusal_is_an_error_and_leaves_no_manifest(source, tmp_path, caplog, status):
    source.faults[:] = [status]
    assert extract.main(arguments(source, tmp_path, "--day", DAY, "--kinds", "new")) == 1
    assert "error:" in caplog.text
    assert not (tmp_path / "2020/01/02" / extract.MANIFEST).exists()
    assert len(source.seen) == 1, "a refusal was asked again"


def test_faults_that_do_not_pass_are_an_error(source, tmp_path):
    source.faults[:] = [503] * 1000
    assert extract.main(arguments(source, tmp_path, "--day", DAY, "--kinds", "new")) == 1
    assert files_below(tmp_path) == {}


def test_nothing_answers(tmp_path, monkeypatch):
    monkeypatch.setattr(extract, "TRIES", 1)
    assert (
        extract.main(["--raw", str(tmp_path), "--url", "http://127.0.0.1:1", "--backoff", "0", "--day", "2020-01-02"])
        == 1
    )
    assert files_below(tmp_path) == {}


def test_a_source_that_changes_once_is_read_again(source, tmp_path):
    def grow(server):
        server.data["erm2-nwe9"].insert(0, {":id": "row-0", **ROWS[130], "unique_key": "7"})

    source.faults_at[2] = grow  # between the count and the first page
    assert extract.main(arguments(source, tmp_path, "--day", DAY, "--kinds", "new", "--page", 50)) == 0
    assert manifest_of(tmp_path / "2020/01/02")["rows"] == 121 == len(keys_in(tmp_path / "2020/01/02"))


def test_a_source_that_always_changes_is_refused(source, tmp_path):
    def grow(server):
        server.data["erm2-nwe9"].insert(0, {":id": f"row-{len(server.seen)}", **ROWS[130]})

    source.faults_at.update(dict.fromkeys(range(1, 200, 2), grow))
    assert extract.main(arguments(source, tmp_path, "--day", DAY, "--kinds", "new", "--page", 50)) == 3
    assert not (tmp_path / "2020/01/02" / extract.MANIFEST).exists()


def test_an_empty_day_is_whole(source, tmp_path):
    assert extract.main(arguments(source, tmp_path, "--day", "2021-05-05")) == 0
    assert manifest_of(tmp_path / "2021/05/05")["rows"] == 0
    assert list(files_below(tmp_path / "2021/05/05")) == [extract.MANIFEST]


def test_a_loaded_day_is_left_alone_unless_told_otherwise(source, tmp_path):
    assert extract.main(arguments(source, tmp_path, "--day", DAY)) == 0
    before = files_below(tmp_path)
    source.load("erm2-nwe9", ROWS[:130])
    source.seen.clear()
    assert extract.main(arguments(source, tmp_path, "--day", DAY)) == 0
    assert files_below(tmp_path) == before and source.seen == []
    assert extract.main(arguments(source, tmp_path, "--day", DAY, "--kinds", "new", "--again")) == 0
    assert len(keys_in(tmp_path / "2020/01/02")) == 10


def test_loading_again_with_fewer_pages_leaves_no_old_page(source, tmp_path):
    assert extract.main(arguments(source, tmp_path, "--day", DAY, "--kinds", "new", "--page", 20)) == 0
    assert extract.main(arguments(source, tmp_path, "--day", DAY, "--kinds", "new", "--page", 100, "--again")) == 0
    assert sorted(files_below(tmp_path / "2020/01/02")) == [extract.MANIFEST, "page-00000.json", "page-00001.json"]


@pytest.mark.parametrize("requests_before", [1, 4, 9])
def test_killed_in_the_middle_and_run_again_gives_the_same(source, tmp_path, requests_before):
    more = ["--from", "2020-01-01", "--to", "2020-01-03", "--page", 40]
    assert extract.main(arguments(source, tmp_path / "whole", *more)) == 0
    source.seen.clear()
    source.server.delay = 0.1
    command = [sys.executable, str(SCRIPT), *arguments(source, tmp_path / "killed", *more)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(source.seen) < requests_before and time.monotonic() < deadline:
        time.sleep(0.01)
    child.kill()
    assert child.wait() == -signal.SIGKILL
    left = files_below(tmp_path / "killed")
    assert len(left) < len(files_below(tmp_path / "whole"))
    for name in left:
        if name.endswith(extract.MANIFEST):
            folder = (tmp_path / "killed" / name).parent
            assert manifest_of(folder)["rows"] == len(keys_in(folder)), "a half load with a manifest"
    source.server.delay = 0
    assert extract.main(arguments(source, tmp_path / "killed", *more)) == 0
    assert files_below(tmp_path / "killed") == files_below(tmp_path / "whole")


def test_attack_strings_stay_on_their_lines(source, tmp_path):
    evil = [
        "a\nb",
        "a\r\u2028\u2029b",
        '"},{"unique_key":"0"',
        "\u0000",
        "'; DROP TABLE x; --",
        "😀",
        "\ud800",
        "../../etc",
    ]
    source.load("erm2-nwe9", [{**ROWS[0], "unique_key": str(n), "complaint_type": text} for n, text in enumerate(evil)])
    # A lone surrogate cannot be sent as UTF-8, but as an escape of JSON it can.
    assert extract.main(arguments(source, tmp_path, "--day", "2020-01-01", "--kinds", "new")) == 0
    lines = (tmp_path / "2020/01/01/page-00000.json").read_bytes().split(b"\n")
    assert [
        json.loads(line)["complaint_type"] for line in sorted(lines[:-1], key=lambda x: json.loads(x)["unique_key"])
    ] == evil


def test_a_condition_the_api_refuses_is_shown(source):
    client = extract.connect(source.url, None, backoff=0)
    with pytest.raises(requests.HTTPError, match="no-such-column"):
        client.get("erm2-nwe9", where="nothing = 1")


class TestToken:
    """The application token: never an argument, never shown."""

    def test_from_the_environment(self, source, tmp_path, monkeypatch):
        monkeypatch.setenv("SOCRATA_APP_TOKEN", "secret-token")
        assert extract.main(arguments(source, tmp_path, "--day", DAY)) == 0
        assert {headers.get("X-App-token") for _, _, headers in source.seen} == {"secret-token"}

    def test_from_a_file_and_not_in_any_output(self, source, tmp_path):
        file = tmp_path / "token"
        file.write_text("secret-token\n")
        file.chmod(0o600)
        source.faults[:] = [429, 403]
        done = run(sys.executable, SCRIPT, *arguments(source, tmp_path / "raw", "--day", DAY, "--token-file", file))
        assert done.returncode == 1
        assert source.seen[0][2]["X-App-token"] == "secret-token"
        assert "secret-token" not in done.stdout + done.stderr

    @pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
    def test_a_file_that_others_can_read_is_refused(self, source, tmp_path, mode):
        file = tmp_path / "token"
        file.write_text("secret-token")
        file.chmod(mode)
        assert extract.main(arguments(source, tmp_path / "raw", "--day", DAY, "--token-file", file)) == 2
        assert source.seen == []

    @pytest.mark.parametrize("text", ["", "two words", "line\nline", "tök"])
    def test_what_is_no_token_is_refused(self, source, tmp_path, text, caplog):
        file = tmp_path / "token"
        file.write_text(text)
        file.chmod(0o600)
        assert extract.main(arguments(source, tmp_path / "raw", "--day", DAY, "--token-file", file)) == 2
        assert not text or text not in caplog.text

    def test_it_does_not_go_in_the_clear_beyond_this_machine(self):
        with pytest.raises(ValueError, match="in the clear"):
            extract.connect("http://data.example.org", "secret-token")
        extract.connect("https://data.example.org", "secret-token").close()

    def test_it_does_not_follow_a_redirect(self, source, tmp_path, monkeypatch):
        monkeypatch.setenv("SOCRATA_APP_TOKEN", "secret-token")
        source.faults[:] = [302]
        assert extract.main(arguments(source, tmp_path, "--day", DAY)) == 1
        assert len(source.seen) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        ["--day", "2020-01-01", "--from", "2020-01-01"],
        ["--from", "2020-01-02", "--to", "2020-01-01"],
        ["--to", "2020-01-01"],
        ["--day", "2020-13-01"],
        ["--page", "50001"],
        ["--page", "0"],
        ["--token", "secret"],
    ],
)
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(SystemExit) as ended:
        extract.parse(["--raw", "/nowhere", *wrong])
    assert ended.value.code == 2


def test_s3_and_a_local_folder_get_the_same(source, tmp_path):
    assert extract.main(arguments(source, tmp_path, "--day", DAY, "--page", 50)) == 0
    with mock_aws():
        storage._client.cache_clear()
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
        s3.put_object(Bucket="lake", Key="raw/2020/01/02/page-00007.json", Body=b"left by an interrupted load")
        s3.put_object(Bucket="lake", Key="raw/2020/01/020/page-00000.json", Body=b"not ours")
        assert extract.main(arguments(source, "s3://lake/raw/", "--day", DAY, "--page", 50)) == 0
        found = {}
        for item in s3.list_objects_v2(Bucket="lake")["Contents"]:
            found[item["Key"].removeprefix("raw/")] = s3.get_object(Bucket="lake", Key=item["Key"])["Body"].read()
        assert found.pop("2020/01/020/page-00000.json") == b"not ours"
        assert found == files_below(tmp_path)
        assert extract.main(arguments(source, "s3://lake/raw/", "--day", DAY)) == 0
    storage._client.cache_clear()


def test_a_bucket_that_is_not_there_is_an_error(source, caplog):
    with mock_aws():
        storage._client.cache_clear()
        assert extract.main(arguments(source, "s3://nothing/raw", "--day", DAY)) == 1
    storage._client.cache_clear()
    assert "NoSuchBucket" in caplog.text


@pytest.mark.parametrize("uri", ["ftp://x/y", "s3:///raw"])
def test_a_place_that_is_none_is_refused(source, uri):
    assert extract.main(arguments(source, uri, "--day", DAY)) == 2


def test_a_disk_that_refuses_is_an_error(source, tmp_path):
    (tmp_path / "2020").write_text("a file where the folder should be")
    assert extract.main(arguments(source, tmp_path, "--day", DAY)) == 1
    assert os.listdir(tmp_path) == ["2020"]
