#include "milter/cli/load_failure.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "milter/cli/colors.h"
#include "milter/cli/commands.h"
#include "milter/cli/table.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

// Of the words alone: what is shown of the file stays as it is, with its marks below.
std::string fitted_diagnostic(std::string_view text, std::size_t width) {
  std::string result;
  for (const std::string_view line : lines_of(text)) {
    const std::size_t begin = line.find_first_not_of(' ');
    const bool words = begin != std::string_view::npos && line[begin] != '|' && !is_digit(line[begin]);
    result += words ? fitted(line, width) : std::string(line);
    result += '\n';
  }
  return result;
}

}  // namespace

void print_diagnostics(std::span<const Diagnostic> diagnostics, const Sources& sources) {
  const Colors c = colors_of(stderr);
  for (const Diagnostic& d : diagnostics) {
    const std::string text = fitted_diagnostic(render(d, sources), terminal_width(STDERR_FILENO));
    const std::size_t head = text.find(':');  // behind "error[RG1002]"
    const char* color = d.level == Diagnostic::Level::error     ? c.bad
                        : d.level == Diagnostic::Level::warning ? c.warning
                                                                : c.quiet;
    fmt::print(stderr, "{}{}{}{}", color, text.substr(0, head), c.off, text.substr(head));
  }
}

int status_of_failure(std::span<const Diagnostic> diagnostics) {
  return diagnostics.front().code == Rg::unreadable_file ? kNoInput : kPolicyError;
}

}  // namespace replygate
