"""A real WordPress for tests: the system's own, copied, on a private MariaDB and PHP's own server."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.processes import end_with_parent

START_SECONDS = 60.0
SOURCE = Path("/usr/share/wordpress")
TOOLS = ("php", "mariadbd", "mariadb-install-db")

_CONFIG = """<?php
define('DB_NAME', 'wordpress'); define('DB_USER', 'root'); define('DB_PASSWORD', '');
define('DB_HOST', 'localhost:{folder}/mariadb.sock'); define('DB_CHARSET', 'utf8mb4'); define('DB_COLLATE', '');
define('WP_HTTP_BLOCK_EXTERNAL', true); define('DISABLE_WP_CRON', true); define('WP_ENVIRONMENT_TYPE', 'local');
define('AUTOMATIC_UPDATER_DISABLED', true); define('WP_DEBUG', false);
define('WP_CONTENT_DIR', __DIR__ . '/wp-content');
foreach (['AUTH', 'SECURE_AUTH', 'LOGGED_IN', 'NONCE'] as $name) {{
    define("{{$name}}_KEY", $name); define("{{$name}}_SALT", $name);
}}
$table_prefix = 'wp_';
if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');
require_once ABSPATH . 'wp-settings.php';
"""

# What Polylang Pro documents of its REST interface, no more.
_POLYLANG = Path(__file__).with_name("polylang.php")

_INSTALL = """<?php
define('WP_INSTALLING', true);
$_SERVER += ['HTTP_HOST' => '{host}', 'SERVER_PROTOCOL' => 'HTTP/1.1', 'REQUEST_METHOD' => 'GET'];
require __DIR__ . '/wp-load.php';
require ABSPATH . 'wp-admin/includes/upgrade.php';
wp_install('Site', 'boss', 'boss@site.example', true, '', 'secret');
update_option('permalink_structure', '/%year%/%postname%/');
update_option('template', 'plain'); update_option('stylesheet', 'plain');
update_option('siteurl', 'http://{host}'); update_option('home', 'http://{host}');
$made = [];
foreach (['editor', 'author', 'contributor'] as $role) {{
    $id = wp_insert_user(['user_login' => $role, 'user_pass' => wp_generate_password(), 'role' => $role,
                          'user_email' => "$role@site.example"]);
    $made[$role] = WP_Application_Passwords::create_new_application_password($id, ['name' => 'Diglot'])[0];
}}
foreach (['News', 'Visits'] as $name) $made[$name] = wp_insert_term($name, 'category')['term_id'];
echo json_encode($made);
"""

# Debian ships its themes apart. A theme shows the featured image itself.
_THEME = {
    "style.css": "/* Theme Name: Plain */",
    "index.php": "<?php the_post(); the_title(); the_post_thumbnail(); the_content();",
    "functions.php": "<?php add_theme_support('post-thumbnails');",
}

_ROUTER = """<?php
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if (is_file(__DIR__ . $path)) return false;
$_SERVER['SCRIPT_NAME'] = '/index.php';
require __DIR__ . '/index.php';
"""


@dataclass
class WordPress:
    """``passwords`` are application passwords by user name, ``categories`` ids by name."""

    url: str
    passwords: dict[str, str]
    categories: dict[str, int]
    folder: Path

    @property
    def api(self) -> str:
        return f"{self.url}/wp-json"

    def ask(self, path: str, method: str = "GET", body: dict[str, Any] | None = None) -> Any:
        """As the site's editor would over `wp/v2`."""
        request = urllib.request.Request(f"{self.api}/wp/v2/{path}", method=method)
        request.add_header("Authorization", basic("editor", self.passwords["editor"]))
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, json.dumps(body).encode() if body else None, timeout=30) as answer:
            return json.load(answer)

    def read(self, url: str) -> str:
        """As a reader would."""
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.read().decode()

    @contextmanager
    def polylang(self) -> Iterator[None]:
        """With a stand-in for Polylang Pro."""
        plugins = self.folder / "site/wp-content/mu-plugins"
        plugins.mkdir(exist_ok=True)
        shutil.copy(_POLYLANG, plugins)
        try:
            yield
        finally:
            shutil.rmtree(plugins)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def why_not() -> str | None:
    """Why there can't be a real WordPress here; None where there can."""
    missing = [name for name in TOOLS if shutil.which(name, path=_path()) is None]
    if not (SOURCE / "wp-load.php").exists():
        missing.append("wordpress")
    return f"not installed: {', '.join(missing)}" if missing else None


@contextmanager
def start_wordpress() -> Iterator[WordPress]:
    with tempfile.TemporaryDirectory(prefix="wordpress-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        database = _start_database(folder)
        try:
            yield from _start_site(folder)
        finally:
            database.kill()
            database.wait()


def _start_database(folder: Path) -> subprocess.Popen[bytes]:
    data = folder / "data"
    options = ("--no-defaults", f"--datadir={data}")
    root = ("--user=root",) if os.geteuid() == 0 else ()
    install = ("mariadb-install-db", *options, "--auth-root-authentication-method=normal", "--skip-test-db", *root)
    subprocess.run(install, check=True, stdout=subprocess.DEVNULL, env={"PATH": _path()})
    server = _start(
        folder / "mariadb.log", str(shutil.which("mariadbd", path=_path())), *options, *root, "--skip-networking",
        f"--socket={folder}/mariadb.sock", f"--pid-file={folder}/pid", "--innodb-flush-log-at-trx-commit=0",
    )
    make = f"(new mysqli('localhost', 'root', '', '', 0, '{folder}/mariadb.sock'))->query('CREATE DATABASE wordpress');"
    _await(lambda: subprocess.run(("php", "-r", make), capture_output=True, check=False).returncode == 0, "MariaDB")
    return server


def _start(log: Path, *command: str) -> subprocess.Popen[bytes]:
    with log.open("wb") as errors:
        return subprocess.Popen(
            command, env=os.environ | {"PHP_CLI_SERVER_WORKERS": "4"}, stdout=subprocess.DEVNULL, stderr=errors,
            start_new_session=True, preexec_fn=end_with_parent(os.getpid()),
        )


def _start_site(folder: Path) -> Iterator[WordPress]:
    site = folder / "site"
    shutil.copytree(SOURCE, site, ignore_dangling_symlinks=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    files = {
        "wp-config.php": _CONFIG.format(folder=folder), "install.php": _INSTALL.format(host=host),
        "router.php": _ROUTER,
    }
    for name, text in files.items():
        (site / name).unlink(missing_ok=True)
        (site / name).write_text(text)
    theme = site / "wp-content/themes/plain"
    theme.mkdir(parents=True)
    for name, text in _THEME.items():
        (theme / name).write_text(text)
    made = json.loads(subprocess.check_output(("php", site / "install.php"), stderr=subprocess.DEVNULL))
    limits = ("-d", "upload_max_filesize=32M", "-d", "post_max_size=32M")
    server = _start(folder / "php.log", "php", *limits, "-S", host, "-t", str(site), str(site / "router.php"))
    try:
        _await(lambda: _answers(f"http://{host}/wp-json/"), "WordPress")
        passwords = {name: word for name, word in made.items() if isinstance(word, str)}
        yield WordPress(f"http://{host}", passwords, {n: i for n, i in made.items() if isinstance(i, int)}, folder)
    finally:
        os.killpg(server.pid, 9)
        server.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status == 200
    except OSError:
        return False


def _await(happens: Any, name: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not happens():
        if time.monotonic() > deadline:
            raise RuntimeError(f"the test's {name} did not start")
        time.sleep(0.05)


def _path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin"
