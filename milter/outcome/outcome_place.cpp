#include "milter/outcome/outcome_place.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>

#include "milter/last_good.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::string_view kSection = "[outcomes]";

// Of the section's head; the first line where it is elsewhere.
Region region_of_section(const std::string& file, std::string_view text) {
  Region region{.file = file, .line = 1, .column = 1, .end_line = 1, .end_column = 1};
  unsigned number = 0;
  for (const std::string& line : lines_of(text)) {
    ++number;
    if (!trim(line).starts_with(kSection)) continue;
    const auto column = static_cast<unsigned>(line.find('[')) + 1;
    region.line = region.end_line = number;
    region.column = column;
    region.end_column = column + static_cast<unsigned>(kSection.size());
    break;
  }
  return region;
}

}  // namespace

std::string help_for_outcomes() {
  return "make the folder for the daemon, or add to [outcomes] for instance path = \"/srv/replygate/outcomes.db\"";
}

std::optional<Diagnostic> outcomes_without_folder(const std::string& file, std::string_view text,
                                                  const Policy& policy) {
  const Settings& settings = policy.settings();
  const bool unnamed = !settings.outcomes.log.empty() && settings.outcomes.path.empty();
  if (!unnamed || settings.store.backend == StoreSettings::Backend::sqlite) return std::nullopt;
  const std::string folder = state_folder();
  std::error_code ignored;
  if (std::filesystem::is_directory(folder, ignored)) return std::nullopt;
  return Diagnostic{
      .level = Diagnostic::Level::warning,
      .code = Rg::service,
      .message = fmt::format("[outcomes] needs a file of its own, and there is no folder {} on this host", folder),
      .primary = {region_of_section(file, text), ""},
      .secondary = {},
      .help = help_for_outcomes()};
}

}  // namespace replygate
