#include "milter/serve/note_carrier.h"

#include <unistd.h>

#include <array>

namespace replygate {

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 && name[0] != '\0' ? name.data() : "localhost";
}

std::vector<std::unique_ptr<NoteCarrier>> note_carriers(const NotifySettings& settings, OwnConnections& own,
                                                        std::chrono::milliseconds patience) {
  std::vector<std::unique_ptr<NoteCarrier>> carriers;
  if (!settings.to.empty() || !settings.users.to.empty()) carriers.push_back(mail_carrier(settings, own, patience));
  if (!settings.webhook.empty()) carriers.push_back(webhook_carrier(settings.webhook, patience));
  return carriers;
}

}  // namespace replygate
