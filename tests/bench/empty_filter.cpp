// What libmilter costs by itself: a filter on it that accepts everything.
//   empty_filter PATH STEPS    a Unix socket, and the protocol flags (SMFIP_*) to ask for

#include <libmilter/mfapi.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

unsigned long wished = 0;  // the load generator offers all that there is

sfsistat unless(unsigned long no_reply) { return (wished & no_reply) != 0 ? SMFIS_NOREPLY : SMFIS_CONTINUE; }

template <typename Callback>
Callback* unless_set(unsigned long not_sent, Callback* callback) {
  return (wished & not_sent) != 0 ? nullptr : callback;
}

sfsistat on_negotiate(SMFICTX*, unsigned long, unsigned long offered, unsigned long, unsigned long,
                      unsigned long* actions, unsigned long* asked, unsigned long* third, unsigned long* fourth) {
  *actions = 0;
  *asked = wished & offered;
  *third = 0;
  *fourth = 0;
  return SMFIS_CONTINUE;
}

sfsistat on_connect(SMFICTX*, char*, _SOCK_ADDR*) { return unless(SMFIP_NR_CONN); }
sfsistat on_helo(SMFICTX*, char*) { return unless(SMFIP_NR_HELO); }
sfsistat on_mail(SMFICTX*, char**) { return unless(SMFIP_NR_MAIL); }
sfsistat on_rcpt(SMFICTX*, char**) { return SMFIS_CONTINUE; }
sfsistat on_data(SMFICTX*) { return SMFIS_CONTINUE; }
sfsistat on_header(SMFICTX*, char*, char*) { return unless(SMFIP_NR_HDR); }
sfsistat on_end_of_headers(SMFICTX*) { return unless(SMFIP_NR_EOH); }
sfsistat on_body(SMFICTX*, unsigned char*, std::size_t) { return unless(SMFIP_NR_BODY); }
sfsistat on_end(SMFICTX*) { return SMFIS_CONTINUE; }

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: empty_filter PATH STEPS\n", stderr);
    return 64;
  }
  wished = std::strtoul(argv[2], nullptr, 0);
  char name[] = "empty";
  smfiDesc filter{};
  filter.xxfi_name = name;
  filter.xxfi_version = SMFI_VERSION;
  filter.xxfi_connect = on_connect;
  filter.xxfi_helo = on_helo;
  filter.xxfi_envfrom = on_mail;
  filter.xxfi_envrcpt = on_rcpt;
  // The library takes an event that it has a function for to be sent.
  filter.xxfi_data = unless_set(SMFIP_NODATA, on_data);
  filter.xxfi_header = unless_set(SMFIP_NOHDRS, on_header);
  filter.xxfi_eoh = unless_set(SMFIP_NOEOH, on_end_of_headers);
  filter.xxfi_body = unless_set(SMFIP_NOBODY, on_body);
  filter.xxfi_eom = on_end;
  filter.xxfi_negotiate = on_negotiate;
  std::string socket = std::string("unix:") + argv[1];
  if (smfi_setconn(socket.data()) != MI_SUCCESS || smfi_register(filter) != MI_SUCCESS) return 69;
  return smfi_main() == MI_SUCCESS ? 0 : 69;
}
