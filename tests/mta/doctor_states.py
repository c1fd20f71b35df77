"""States of a host, each with what doctor must say of it and what strangers get; the table of test_doctor.py."""

import itertools

from doctor_host import GIVEN_BACK, MILTER, OTHER_MILTER, PORT, SERVICE, SUBMISSION, State

OURS = f"inet:127.0.0.1:{MILTER}"
OTHER = f"inet:127.0.0.1:{OTHER_MILTER}"
FRIENDS = "permit_mynetworks, permit_sasl_authenticated"
REFUSE = "reject_unauth_destination"
SUB = f"0.0.0.0:{SUBMISSION}/inet/"
# Postfix does not start with a bare permit before its refusals.
PASS = f"permit_mynetworks,check_client_access,static:OK,{REFUSE}"
FILTER = {"content_filter": f"smtp:[127.0.0.1]:{GIVEN_BACK - 1}"}


def relay(words):
    return {"smtpd_relay_restrictions": f"{FRIENDS}, {words}, {REFUSE}"}


def door(words, where="smtpd_relay_restrictions"):
    return {where: words.replace("DOOR", f"check_policy_service {{ inet:127.0.0.1:{SERVICE}")}


OPEN = relay("check_recipient_access static:OK")

FILTERED = [
    State("good", tried=True),
    State("nobody asks", ["error: never asked"], {"smtpd_milters": ""}, tried=True, judged=False),
    State("another one is asked", ["error: never asked"], {"smtpd_milters": OTHER}, tried=True, judged=False),
    State("a milter without a port", ["error: has no port", "error: no milter answers"],
          {"smtpd_milters": f"{OURS}, inet:127.0.0.1"}, mended=False),
    State("open when we are away", ["warning: let through unjudged"], {"milter_default_action": "accept"}),
    State("refused when we are away", ["error: refused for good"], {"milter_default_action": "reject"}),
    State("held when we are away", ["error: hold queue"], {"milter_default_action": "quarantine"}),
    State("a word of newer ones", ["warning: does not know that word"], {"milter_default_action": "shutdown"}),
    State("open in braces", ["warning: default_action = accept"],
          {"smtpd_milters": f"{{ {OURS}, default_action=accept }}"}),
    State("closed in braces", [], {"smtpd_milters": f"{{ {OURS}, default_action=tempfail, connect_timeout=5s }}",
                                   "milter_default_action": "accept"}),
    State("short patience in braces", ["error: milter_command_timeout = 1s"],
          {"smtpd_milters": f"{{ {OURS}, command_timeout=1s }}"}),
    State("short patience", ["error: milter_command_timeout = 1s"], {"milter_command_timeout": "1s"}),
    State("short patience with content", ["error: milter_content_timeout = 1s"], {"milter_content_timeout": "1s"}),
    State("an old protocol", ["error: milter_protocol = 2"], {"milter_protocol": "2"}),
    State("few recipients", ["warning: smtpd_recipient_limit = 50"], {"smtpd_recipient_limit": "50"}, policy="many"),
    State("few errors", ["warning: smtpd_hard_error_limit = 5"], {"smtpd_hard_error_limit": "5"}),
    State("soft bounces", ["warning: becomes a 4xx"], {"soft_bounce": "yes"}),
    State("no_milters", ["error: no filter is asked"], {"receive_override_options": "no_milters"}, tried=True,
          judged=False),
    State("a map for all", ["error: pass unjudged"], {"smtpd_milter_maps": "static:DISABLE"}, tried=True, judged=False),
    State("a map of networks", ["warning: passes unjudged"], {"smtpd_milter_maps": "cidr:{etc}/off"},
          files={"off": "198.51.100.0/24 DISABLE\n"}, tried=True, judged=False),
    State("a map to other milters", ["error: pass unjudged"], {"smtpd_milter_maps": f"static:{OTHER}"}, tried=True,
          judged=False),
    State("a map for one", ["warning: passes unjudged"], {"smtpd_milter_maps": "inline:{192.0.2.1=DISABLE}"}, tried=True),
    State("a map that has us", [], {"smtpd_milter_maps": f"static:{OURS}"}, tried=True),
    State("the sendmail command", ["warning: sendmail command"], {"non_smtpd_milters": ""}),
    State("pickup", ["warning: no_milters"], master=["pickup/unix/receive_override_options=no_milters"]),
    State("cleanup", ["warning: sendmail command"], master=["cleanup/unix/non_smtpd_milters="]),
    State("an old address beside", ["error: no milter answers at inet:127.0.0.1:8891"],
          {"smtpd_milters": f"inet:127.0.0.1:8891, {OURS}"}),
    State("before, where it charges", ["warning: by the rule quota"], {"smtpd_milters": f"{OURS}, {OTHER}"}, policy="quota"),
    State("behind, where it charges", [], {"smtpd_milters": f"{OTHER}, {OURS}"}, policy="quota", tried=True),
    State("behind, where it counts refusals", ["warning: by the rule harvest"], {"smtpd_milters": f"{OTHER}, {OURS}"},
          policy="harvest"),
    State("before, where it counts refusals", [], {"smtpd_milters": f"{OURS}, {OTHER}"}, policy="harvest"),
    State("before, where nothing counts", [], {"smtpd_milters": f"{OURS}, {OTHER}"}, tried=True),
    State("a proxy", ["warning: sees no message"], {"smtpd_proxy_filter": "127.0.0.1:10026"}, mended=False),
]

SERVICES = [
    State("a port without milters", ["error: smtpd_milters does not name"], master=[SUB + "smtpd_milters="], tried=True,
          port=SUBMISSION, judged=False),
    State("a port with no_milters", ["error: no filter is asked"], master=[SUB + "receive_override_options=no_milters"],
          tried=True, port=SUBMISSION, judged=False),
    State("a port with more than no_milters", ["error: no filter is asked"],
          master=[SUB + "receive_override_options=no_unknown_recipient_checks,no_milters"]),
    State("a port with a map", ["error: pass unjudged"], master=[SUB + "smtpd_milter_maps=static:DISABLE"], tried=True,
          port=SUBMISSION, judged=False),
    State("a port that is open when we are away", ["warning: let through unjudged"],
          master=[SUB + "milter_default_action=accept"]),
    State("a port that names us", [], master=[SUB + f"smtpd_milters={OURS}"], tried=True, port=SUBMISSION),
    State("ports that name us where main.cf does not", [], {"smtpd_milters": ""},
          master=[SUB + f"smtpd_milters={OURS}", f"0.0.0.0:{PORT}/inet/smtpd_milters={OURS}"], tried=True),
    State("a parameter of one's own", ["error: smtpd_milters does not name"], {"mua_milters": ""},
          master=[SUB + "smtpd_milters=$mua_milters"], tried=True, port=SUBMISSION, judged=False),
    State("a parameter that a port changes", ["error: smtpd_milters does not name"],
          {"our_milters": OURS, "smtpd_milters": "$our_milters"}, master=[SUB + "our_milters="], tried=True,
          port=SUBMISSION, judged=False, mended=False),
    State("a port that relays", ["error: strangers may relay"],
          master=[SUB + f"smtpd_relay_restrictions={PASS}"], tried=True, port=SUBMISSION, relays=True),
    State("a port for users alone", [], master=[SUB + "smtpd_client_restrictions=permit_sasl_authenticated,reject",
                                                SUB + f"smtpd_relay_restrictions={PASS}"], tried=True,
          port=SUBMISSION, judged=False),
    State("a filter's port", ["warning: charged a second time"], FILTER,
          services=f"127.0.0.1:{GIVEN_BACK} inet n - n - 10 smtpd -o content_filter=\n"),
    State("a filter's port with options", ["warning: charged a second time"], FILTER,
          services=f"127.0.0.1:{GIVEN_BACK} inet n - n - 10 smtpd -o content_filter= "
                   "-o receive_override_options=no_address_mappings\n"),
    State("a filter's port without milters", [], FILTER,
          services=f"127.0.0.1:{GIVEN_BACK} inet n - n - 10 smtpd -o content_filter= -o smtpd_milters=\n"),
    State("a filter's port with no_milters", [], FILTER, services=f"127.0.0.1:{GIVEN_BACK} inet n - n - 10 smtpd "
          "-o content_filter= -o receive_override_options=no_unknown_recipient_checks,no_milters\n"),
    State("a filter's port that rules know", [], FILTER, policy="listener",
          services=f"127.0.0.1:{GIVEN_BACK} inet n - n - 10 smtpd -o content_filter= -o milter_macro_daemon_name=back\n"),
    State("a filter's port that rules do not know", ["warning: charged a second time"], FILTER,
          services=f"127.0.0.1:{GIVEN_BACK} inet n - n - 10 smtpd -o content_filter= -o milter_macro_daemon_name=back\n"),
    State("a filter that pipes", ["warning: through sendmail"], master=[f"0.0.0.0:{PORT}/inet/content_filter=spam"],
          services="spam unix - n n - - pipe user=nobody argv=/usr/bin/spamc -e /usr/sbin/sendmail -oi ${recipient}\n"),
]

TRUST_TABLE = {"friends": "192.0.2.0/24 OK\n"}
RELAYING = [
    State("the shipped policy and static:OK", ["error: strangers may relay"], OPEN, policy="shipped", tried=True,
          relays=True),
    State("a policy that refuses, and static:OK", [], OPEN, policy="guard", tried=True),
    State("a policy that refuses some", ["error: strangers may relay"], OPEN, policy="guard by halves", tried=True,
          relays=True, says={"helo": "friend.test"}),
    State("a policy that is asked too late", ["error: with replygate down"], {**OPEN, "milter_default_action": "accept"},
          policy="guard"),
    State("a policy that trusts all", ["error: everybody in them"], OPEN, policy="guard that trusts all", tried=True,
          relays=True),
    State("a policy that is open on errors", ["error: on an error"], {**OPEN}, policy="guard", on_error="accept"),
    State("all clients are friends", ["error: strangers may relay"], relay("check_client_access static:OK"), tried=True,
          relays=True),
    State("a sender is a friend", ["error: strangers may relay"], relay("check_sender_access inline:{friend.test=OK}"),
          tried=True, relays=True, says={"sender": "s@friend.test"}),
    State("a name is a friend", ["error: strangers may relay"], relay("check_helo_access inline:{friend.test=OK}"),
          tried=True, relays=True, says={"helo": "friend.test"}),
    State("a foreign domain", ["warning: not known"], relay("check_recipient_access inline:{foreign.test=OK}"),
          tried=True, relays=True),
    State("a domain of our own", [], relay("check_recipient_access inline:{local.test=OK}"), tried=True),
    State("a mailbox everywhere", ["error: strangers may relay"], relay("check_recipient_access inline:{postmaster@=OK}"),
          tried=True, relays=True, says={"to": "postmaster@foreign.test"}),
    State("a table of senders", ["error: strangers may relay"], relay("check_sender_access hash:{etc}/senders.map"),
          files={"senders.map": "friend.test OK\n"}, tried=True, relays=True, says={"sender": "s@friend.test"}),
    State("an expression", ["error: strangers may relay"], relay("check_recipient_access regexp:{etc}/any"),
          files={"any": "/./ OK\n"}, tried=True, relays=True),
    State("an expression for clients", ["error: strangers may relay"], relay("check_client_access regexp:{etc}/any"),
          files={"any": "/./ OK\n"}, tried=True, relays=True),
    State("an expression for some", ["warning: not known"], relay("check_recipient_access regexp:{etc}/some"),
          files={"some": "/@foreign\\.test$/ OK\n"}, tried=True, relays=True),
    State("clients who are trusted", [], relay("check_client_access cidr:{etc}/friends"), files=TRUST_TABLE, tried=True),
    State("clients of all networks", ["error: strangers may relay"], relay("check_client_access cidr:{etc}/world"),
          files={"world": "0.0.0.0/0 OK\n"}, tried=True, relays=True),
    State("a table that is gone", ["warning: not known"], relay("check_sender_access hash:{etc}/gone")),
    State("a table that refuses", [], relay("check_sender_access inline:{spam.test=REJECT, {x.test = 554 no}}"), tried=True),
    State("permit", ["error: strangers may relay"],
          {"smtpd_relay_restrictions": f"{FRIENDS}, permit",
           "smtpd_recipient_restrictions": "check_client_access static:OK, reject"}, tried=True, relays=True),
    State("a class of restrictions", ["error: strangers may relay"],
          {**relay("partners"), "smtpd_restriction_classes": "partners", "partners": "permit"}, tried=True, relays=True),
    State("a class in a table", ["error: strangers may relay"],
          {**relay("check_recipient_access static:partners"), "smtpd_restriction_classes": "partners",
           "partners": "reject_non_fqdn_sender, permit"}, tried=True, relays=True),
    State("a class that refuses", [], {"smtpd_relay_restrictions": f"{FRIENDS}, others, {REFUSE}",
                                       "smtpd_restriction_classes": "others", "others": REFUSE}, tried=True),
    State("recipients who pass once relaying is refused", [],
          {"smtpd_recipient_restrictions": "check_recipient_access static:OK"}, tried=True),
    State("refused in the other list", [],
          {"smtpd_relay_restrictions": "", "smtpd_recipient_restrictions": f"{FRIENDS}, {REFUSE}"}, tried=True),
    State("passed in the other list", ["error: strangers may relay"],
          {"smtpd_relay_restrictions": "", "smtpd_recipient_restrictions": f"check_recipient_access static:OK, {REFUSE}"},
          tried=True, relays=True),
    State("a mere warning", ["error: strangers may relay"],
          {"smtpd_relay_restrictions": f"{FRIENDS}, warn_if_reject {REFUSE}",
           "smtpd_recipient_restrictions": "check_client_access static:OK, reject"}, tried=True, relays=True),
    State("deferred", [], {"smtpd_relay_restrictions": f"{FRIENDS}, defer_unauth_destination"}, tried=True),
    State("clients without login are refused", [], {**OPEN, "smtpd_client_restrictions": f"{FRIENDS}, reject"},
          tried=True, judged=False),
    State("everybody's network", ["error: this host is open"], {"mynetworks": "0.0.0.0/0"}, tried=True, relays=True),
    State("half the world each", ["error: this host is open"], {"mynetworks": "0.0.0.0/1 128.0.0.0/1"}, tried=True,
          relays=True),
    State("networks in a table", ["error: this host is open"], {"mynetworks": "cidr:{etc}/world"},
          files={"world": "0.0.0.0/0 OK\n"}, tried=True, relays=True),
    State("networks in a file", ["error: this host is open"], {"mynetworks": "{etc}/networks"},
          files={"networks": "127.0.0.1\n0.0.0.0/0\n"}, tried=True, relays=True),
    State("a private network", [], {"mynetworks": "127.0.0.0/8 10.0.0.0/8 [fd00::]/8"}, tried=True),
    State("XCLIENT for all", ["error: everybody may call himself"], {"smtpd_authorized_xclient_hosts": "0.0.0.0/0"},
          tried=True, relays=True, says={"xclient": True}),
    State("every domain is relayed", ["error: strangers may relay"], {"relay_domains": "static:all"}, tried=True,
          relays=True),
    State("every domain is an alias", ["warning: not known"], {"virtual_alias_domains": "static:all"}),
    State("the PROXY protocol for all", ["warning: may call himself"], {"smtpd_upstream_proxy_protocol": "haproxy"},
          mended=False, tried=True, relays=True, says={"proxied": True}),
    State("a backup for all", ["error: strangers may relay"], relay("permit_mx_backup")),
    State("certificates of anybody", ["warning: not known"],
          {**relay("permit_tls_all_clientcerts"), "smtpd_tls_ask_ccert": "yes"}),
    State("another policy service", ["warning: not known"], relay("check_policy_service inet:127.0.0.1:10023")),
    State("another policy service behind", [],
          {"smtpd_recipient_restrictions": "check_policy_service inet:127.0.0.1:10023"}),
]

DOORS = [
    State("the second door", [], door(f"{FRIENDS}, DOOR, timeout=2s, default_action=DUNNO }}, {REFUSE}"), policy="door",
          tried=True),
    State("no second door", ["warning: nobody asks"], policy="door"),
    State("a relay rule that never applies", ["warning: never applies"], policy="guard", mended=False),
    State("the second door behind", ["warning: stands behind"],
          door(f"{FRIENDS}, {REFUSE}, DOOR, default_action=DUNNO }}"), policy="door alone"),
    State("the second door in the other list", ["warning: stands behind"],
          door("DOOR, default_action=DUNNO }", "smtpd_recipient_restrictions"), policy="door alone"),
    State("a second door that nobody reaches", ["error: strangers may relay", "warning: stands behind"],
          door(f"{FRIENDS}, check_recipient_access static:OK, DOOR, default_action=DUNNO }}, {REFUSE}"),
          policy="guard at the second door", tried=True, relays=True),
    State("a policy that refuses at the second door alone", ["error: strangers may relay"],
          door(f"{FRIENDS}, DOOR, default_action=DUNNO }}, check_recipient_access static:OK, {REFUSE}"),
          policy="guard at the second door", tried=True),
    State("a second door that stops mail", ["warning: has no default_action"], door(f"{FRIENDS}, DOOR }}, {REFUSE}"),
          policy="door alone"),
    State("a second door that is silent by main.cf", [],
          {**door(f"{FRIENDS}, DOOR }}, {REFUSE}"), "smtpd_policy_service_default_action": "DUNNO"}, policy="door alone"),
    State("a second door that opens", ["error: strangers may relay"],
          door(f"{FRIENDS}, DOOR, default_action=OK }}, {REFUSE}"), policy="door alone"),
]

# Each takes us away, or opens the host; no two touch the same setting.
BYPASSES = {
    "no_milters": (["error: no filter is asked"], {"receive_override_options": "no_milters"}, []),
    "a map": (["error: pass unjudged"], {"smtpd_milter_maps": "static:DISABLE"}, []),
    "nobody asks": (["error: never asked"], {"smtpd_milters": ""}, []),
    "static:OK": (["error: strangers may relay"], OPEN, []),
    "a wide network": (["error: this host is open"], {"mynetworks": "0.0.0.0/0"}, []),
    "XCLIENT": (["error: everybody may call himself"], {"smtpd_authorized_xclient_hosts": "0.0.0.0/0"}, []),
    "every domain": (["error: strangers may relay"], {"relay_domains": "static:all"}, []),
    "a port": (["error: smtpd_milters does not name"], {}, [SUB + "smtpd_milters="]),
    "a port's restrictions": (["error: strangers may relay"], {},
                              [SUB + f"smtpd_relay_restrictions={PASS}"]),
}


def pairs():
    """Two bypasses at once: neither hides the other, and mending both leaves none."""
    for (one, a), (other, b) in itertools.combinations(BYPASSES.items(), 2):
        # Setup has Postfix read its settings anew, which takes seconds.
        slow = "nobody asks" in (one, other) and other != "static:OK"
        yield State(f"{one}, and {other}", a[0] + b[0], {**a[1], **b[1]}, a[2] + b[2], mended=not slow,
                    tried=other == "a port's restrictions" or "static:OK" in (one, other), relays=None, judged=None)
