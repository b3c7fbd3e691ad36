# SPDX-License-Identifier: Apache-2.0
"""A terminal of a given size, by tmux, in which a command runs as a person would see it."""
import os
import shlex
import subprocess

from harness.scale import wait_until


class Terminal:
    """A shell in a tmux server of its own."""

    _count = 0

    def __init__(self, columns=80, lines=24):
        Terminal._count += 1
        self._server = ["tmux", "-L", f"sockwarden-{os.getpid()}-{Terminal._count}", "-f", "/dev/null"]
        self._tmux("new-session", "-d", "-x", str(columns), "-y", str(lines),
                   "env -u NO_COLOR LC_ALL=C.UTF-8 PS1='ready> ' bash --norc --noprofile")
        self.wait("ready>")

    def _tmux(self, *arguments):
        return subprocess.run([*self._server, *arguments], check=True, capture_output=True,
                              text=True).stdout

    def screen(self):
        """What is on the screen, as lines."""
        return self._tmux("capture-pane", "-p").splitlines()

    def text(self):
        return "\n".join(self.screen())

    def keys(self, *keys):
        """Presses keys by tmux's names (Enter, Down, PPage, ...); other words are typed."""
        self._tmux("send-keys", *keys)

    def command(self, *words):
        self.keys(shlex.join(words), "Enter")

    def resize(self, columns, lines):
        self._tmux("resize-window", "-x", str(columns), "-y", str(lines))

    def wait(self, text, seconds=10):
        """Waits until the text is on the screen; returns the lines that have it."""
        def look():
            return [line for line in self.screen() if text in line]
        try:
            return wait_until(look, seconds, text)
        except TimeoutError as error:
            raise TimeoutError(f"{error}, but:\n{self.text()}") from None

    def wait_gone(self, text, seconds=10):
        wait_until(lambda: text not in self.text(), seconds, f"no {text!r} on the screen")

    def foreground(self):
        """The pid of the shell's running child."""
        shell = self._tmux("display-message", "-p", "#{pane_pid}").strip()
        children = subprocess.run(["pgrep", "-P", shell], capture_output=True, text=True,
                                  check=False).stdout.split()
        return int(children[0]) if children else None

    def close(self):
        self._tmux("kill-server")
