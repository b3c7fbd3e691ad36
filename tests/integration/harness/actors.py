# SPDX-License-Identifier: Apache-2.0
"""Programs that hand sockets around: python3 actors.py SCENE PORT.

Each scene says in one line of JSON who plays in it, {"role": pid}, when it is ready. A scene that
serves answers the first byte of each connection when the socket is where it is to end up, and closes
its connection when the peer has; one that connects does both by itself and waits for the peer's end.
Everything ends with standard input.
"""
import array
import json
import os
import select
import socket
import sys
import threading

ADDRESS = "127.0.0.1"


def rename(name):
    """The name of the thread group's leader, which is what a process is called."""
    rename_thread(name, os.getpid())


def rename_thread(name, thread=None):
    thread = thread or threading.get_native_id()
    with open(f"/proc/self/task/{thread}/comm", "w", encoding="ascii") as file:
        file.write(name)


def say(**roles):
    print(json.dumps(roles), flush=True)


def wait_for_the_end():
    sys.stdin.read()


def child(play, *arguments):
    """Forks a process that plays and ends; returns its number."""
    pid = os.fork()
    if pid == 0:
        try:
            play(*arguments)
        finally:
            os._exit(0)
    return pid


def listener(port):
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((ADDRESS, port))
    made.listen(16)
    return made


def connected(port):
    made = socket.socket()
    made.connect((ADDRESS, port))
    return made


def serve(sock):
    """Answers the first byte, waits for the peer's end, closes."""
    sock.sendall(sock.recv(1))
    while sock.recv(4096):
        pass
    sock.close()


def use(sock):
    """The connecting side's: a byte, then the peer's end, then ours."""
    sock.sendall(b".")
    while sock.recv(4096):
        pass
    sock.close()


def send_socket(channel, sock):
    channel.sendmsg([b"s"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                              array.array("i", [sock.fileno()]))])


def receive_socket(channel):
    _, ancillary, _, _ = channel.recvmsg(1, socket.CMSG_SPACE(4))
    return socket.socket(fileno=array.array("i", ancillary[0][2])[0])


def thread_pool(port):
    """One thread listens, a second accepts, a third serves."""
    server = listener(port)
    accepted = []
    ready = threading.Semaphore(0)

    def accept():
        rename_thread("accepting")
        while True:
            accepted.append(server.accept()[0])
            ready.release()

    def work():
        rename_thread("working")
        while True:
            ready.acquire()
            serve(accepted.pop(0))

    for target in (accept, work):
        threading.Thread(target=target, daemon=True).start()
    say(pool=os.getpid())
    wait_for_the_end()


def connecting_thread(port):
    def work():
        rename_thread("connecting")
        use(connected(port))

    say(pool=os.getpid())
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    wait_for_the_end()


def fork_for_each(port):
    """The parent accepts, forks and forgets; the child serves."""
    server = listener(port)
    say(parent=os.getpid())
    sock, _ = server.accept()

    def play():
        rename("forked")
        server.close()
        serve(sock)
    say(child=child(play))
    sock.close()
    wait_for_the_end()


def fork_after_connect(port):
    """The parent connects and ends; its child goes on with the connection."""
    def parent():
        rename("begun")
        sock = connected(port)
        pid = os.getpid()

        def play():
            rename("inherited")
            say(parent=pid, child=os.getpid())
            use(sock)
        child(play)
    os.waitpid(child(parent), 0)
    wait_for_the_end()


def pass_accepted(port):
    """One process accepts and gives the connection to another over a Unix socket."""
    ours, theirs = socket.socketpair()

    def play():
        rename("receiver")
        ours.close()
        serve(receive_socket(theirs))
    receiver = child(play)
    server = listener(port)
    say(passer=os.getpid(), receiver=receiver)
    sock, _ = server.accept()
    send_socket(ours, sock)
    sock.close()
    wait_for_the_end()


def pass_connected(port):
    ours, theirs = socket.socketpair()

    def play():
        rename("passer")
        send_socket(ours, connected(port))
    passer = child(play)
    sock = receive_socket(theirs)
    os.waitpid(passer, 0)
    say(passer=passer, receiver=os.getpid())
    use(sock)
    wait_for_the_end()


def pass_listener(port):
    ours, theirs = socket.socketpair()

    def play():
        rename("passer")
        send_socket(ours, listener(port))
    passer = child(play)
    server = receive_socket(theirs)
    os.waitpid(passer, 0)
    say(passer=passer, receiver=os.getpid())
    serve(server.accept()[0])
    wait_for_the_end()


def replace_by(scene, argument, **variables):
    """exec() of another scene of this file."""
    os.execve(sys.executable, [sys.executable, "-B", __file__, scene, str(argument)],
              {**os.environ, **variables})


def exec_connected(port):
    rename("before")
    sock = connected(port)
    os.set_inheritable(sock.fileno(), True)
    replace_by("after_exec_connected", sock.fileno())


def after_exec_connected(number):
    rename("after")
    say(process=os.getpid())
    use(socket.socket(fileno=number))
    wait_for_the_end()


def exec_listener(port):
    rename("before")
    server = listener(port)
    os.set_inheritable(server.fileno(), True)
    replace_by("after_exec_listener", server.fileno())


def after_exec_listener(number):
    rename("after")
    say(process=os.getpid())
    serve(socket.socket(fileno=number).accept()[0])
    wait_for_the_end()


def activate(sock, scene):
    """Starts a scene as systemd starts a service: the socket is descriptor 3 (sd_listen_fds(3))."""
    def play():
        os.dup2(sock.fileno(), 3)
        os.set_inheritable(3, True)  # it may have been 3 already
        replace_by(scene, 0, LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
    return child(play)


def activation(port):
    """Accept=no: the service is started by the first connection and accepts it."""
    rename("manager")
    server = listener(port)
    say(manager=os.getpid())
    select.select([server], [], [])
    say(service=activate(server, "activated"))
    wait_for_the_end()


def activated(_):
    assert os.environ["LISTEN_FDS"] == "1" and os.environ["LISTEN_PID"] == str(os.getpid())
    rename("service")
    serve(socket.socket(fileno=3).accept()[0])


def activation_for_each(port):
    """Accept=yes: the manager accepts and starts a service with the connection."""
    rename("manager")
    server = listener(port)
    say(manager=os.getpid())
    sock, _ = server.accept()
    say(service=activate(sock, "activated_for_each"))
    sock.close()
    wait_for_the_end()


def activated_for_each(_):
    rename("service")
    serve(socket.socket(fileno=3))


if __name__ == "__main__":
    globals()[sys.argv[1]](int(sys.argv[2]))
