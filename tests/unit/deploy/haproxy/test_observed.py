from wherry.deploy.haproxy.access import parse_access
from wherry.deploy.haproxy.observed import (
    MapEntry,
    ObservedServer,
    parse_certificates,
    parse_map,
    parse_servers,
    parse_statistics,
)
from wherry.deploy.haproxy.states import sessions_of, states_of
from wherry.deploy.haproxy.wanted import server_name
from wherry.deploy.routing import Check, Pool, Section, Server

# Taken from HAProxy 2.6.12.
SERVERS = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight \
srv_iweight srv_time_since_last_change \
srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id \
srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port
3 s1 1 e:i-1:aa 127.0.0.1 2 0 100 100 0 1 0 3 6 0 0 0 - 18081 - 0 0 - - 0
3 s1 2 e:i-2:aa 127.0.0.1 0 1 7 100 0 1 0 3 6 0 0 0 - 18082 - 0 0 - - 0
4 s2 1 e:i-1:bb 127.0.0.1 2 8 100 100 0 1 0 3 6 0 0 0 - 18081 - 0 0 - - 0

"""
TITLES = (
    "# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,act,"
    "bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,rate_lim,rate_max,"
    "check_status,check_code,check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,hanafail,req_rate,"
    "req_rate_max,req_tot,cli_abrt,srv_abrt,comp_in,comp_out,comp_byp,comp_rsp,lastsess,last_chk,last_agt,qtime,ctime,"
    "rtime,ttime,agent_status,agent_code,agent_duration,check_desc,"
)
CHECK = Check("/up", "200-299")


def line(name, status="UP", check="L7OK", code="200", words="", weight=100, slot="s1"):
    return (
        f"{slot},{name},0,0,3,4,,20,82,192,,0,,2,1,0,0,{status},{weight},1,0,2,1,9,0,,1,3,1,,1,,2,0,,1,{check},{code},1,"
        f"1,15,2,1,1,0,,,,1,0,0,,,,,9,{words},,5,0,7,1,,,,Layer7 something,"
    )


def statistics(*lines):
    return parse_statistics("\n".join([TITLES, *lines, ""]))


def test_servers():
    assert parse_servers(SERVERS) == {
        "s1": {"e:i-1:aa": ObservedServer(100, True, False), "e:i-2:aa": ObservedServer(7, False, True)},
        "s2": {"e:i-1:bb": ObservedServer(100, False, False)},
    }
    assert parse_servers("1\n# be_id be_name\n\n") == {}


def test_maps_and_certificates():
    text = "0x55da281a8c20 e:1/ s1:web:0\n0x55da281a8cb0 s1 /a b\n\n"
    assert parse_map(text) == [
        MapEntry("0x55da281a8c20", "e:1/", "s1:web:0"),
        MapEntry("0x55da281a8cb0", "s1", "/a b"),
    ]
    assert parse_map("Unknown map identifier.\n") == []
    assert parse_certificates("# /x/certificates.list\n/x/default.pem\n/x/n.pem [alpn h2] n.localhost\n\n") == [
        "/x/default.pem",
        "/x/n.pem",
    ]


def test_states_in_the_order_of_the_section():
    servers = (
        Server("i-1", "10.0.0.2", 80),
        Server("i-2", "10.0.0.3", 80, draining=True),
        Server("i-3", "10.0.0.4", 80),
        Server("i-4", "10.0.0.5", 80),
        Server("i-5", "10.0.0.6", 80),
        Server("i-6", "10.0.0.7", 80),
    )
    section = Section("e", (), (Pool("web", servers, CHECK),))
    names = [server_name("e", server, CHECK) for server in servers]
    told = statistics(
        line(names[4], check="INI", code=""),
        line(names[3], "DOWN", "L7RSP", "", "log-format string evaluated to an empty string"),
        line(names[2], "DOWN 1/2", "L4CON", "", "Connection refused"),
        line(names[1], weight=0),
        line(names[0]),
        line(names[0], slot="s2"),
        line("e:i-9:gone"),
    )
    states = states_of(section, {"web": "s1"}, told)
    assert states[0] == (
        *("web", "i-1", "up", "/up answered 200", 3, 20, (1, 15, 2, 1, 1), 3, 5.0, 7.0, 100, 9.0, "10.0.0.2"),
    )
    assert [(state.instance, state.status, state.reason) for state in states[1:]] == [
        ("i-2", "draining", "/up answered 200"),
        ("i-3", "down", "Connection refused"),
        ("i-4", "down", "/up answered with a status that is not among 200-299"),
        ("i-5", "unchecked", ""),
    ]


def test_reasons_of_failed_checks():
    server = Server("i-1", "10.0.0.2", 80)
    section = Section("e", (), (Pool("web", (server,), CHECK),))
    name = server_name("e", server, CHECK)

    def reason(*check):
        return states_of(section, {"web": "s1"}, statistics(line(name, "DOWN", *check)))[0].reason

    assert reason("L7STS", "503", "HTTP status returned") == "/up answered 503, which is not among 200-299"
    assert reason("L4TOUT", "", "") == "/up did not answer within 5 s"
    assert reason("* L7TOUT", "", "") == "/up did not answer within 5 s"
    assert reason("L4CON", "", "No route to host") == "No route to host"


def test_sessions_count_at_every_server_of_the_instance():
    told = statistics(line("e:i-1:aa"), line("e:i-1:bb", "MAINT"), line("e:i-11:aa"), line("ee:i-1:aa"))
    assert sessions_of("e", "i-1", told) == 6


def test_access_lines():
    full = b"1795633296512 shop:0a1b s7:web:0 shop:i-3:0123456789 200 17 GET 127.0.0.1 /a%20b"
    record = parse_access(full, "shop")
    assert record == (1795633296.512, "shop", "web", "i-3", 200, 17.0, "GET", "/a%20b", "127.0.0.1")
    assert parse_access(full, "") == record
    assert parse_access(full, "other") is None
    assert parse_access(full, "shop", 1795633296.6) is None
    nowhere = parse_access(b"1795633296512 shop:0a1b s7:web:0 <NOSRV> 503 0 GET ::1 /", "shop")
    assert (nowhere.instance, nowhere.status, nowhere.client) == ("", 503, "::1")
    maintained = parse_access(b"1795633296512 shop:0a1b maintenance::0 <NOSRV> 503 0 GET ::1 /", "shop")
    assert maintained.pool == ""
    nobody = parse_access(b"1795633296512 shop:0a1b - <NOSRV> 404 0 GET ::1 /", "shop")
    assert (nobody.pool, nobody.status) == ("", 404)
    left = parse_access(b"1795633296512 shop:0a1b s7:web:0 shop:i-3:0123456789 -1 -1 GET ::1 /", "shop")
    assert (left.status, left.milliseconds) == (0, 0.0)
    assert parse_access(b"Server s1/e:i-1:aa is UP/READY (leaving forced maintenance).", "shop") is None
    assert parse_access(b"", "shop") is None
