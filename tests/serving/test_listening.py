"""The socket of a server: a host that is none is refused in one line."""

from __future__ import annotations

import pytest

from ramer.commands.listening import listen
from ramer.errors import RamerError

HOSTS = {
    "": "--host: expected a name or an address, got an empty one",
    "ä..b": "http://ä..b:0: not the name of a host",
    "\udcff\udcfe": "http://'\\udcff\\udcfe':0: not the name of a host",
    "no-such-host.invalid": "http://no-such-host.invalid:0: ",
    "::zz": "http://[::zz]:0: ",
}


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_is_none_is_refused_in_one_line(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RamerError) as error, listen(host, 0, "this"):
        pass
    (line,) = error.value.faults
    assert line.startswith(HOSTS[host])
    line.encode()
    assert capsys.readouterr().out == ""
