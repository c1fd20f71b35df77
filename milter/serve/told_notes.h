#pragma once

#include <chrono>
#include <initializer_list>
#include <map>
#include <string>

#include "policy/base/time.h"

namespace replygate {

// When each event of each key was told last, by a name for both.
using ToldNotes = std::map<std::string, std::chrono::steady_clock::time_point>;

// What a file has of the notes to `who`, by the clock on the wall. A file that is not there or not understood has
// nothing: the worst of it is a note that comes again.
ToldNotes read_told_notes(const std::string& file, const std::string& who);

// The notes to each, those left out that may be told again because their pause is over.
struct ToldTo {
  std::string who;
  Duration pause;
  const ToldNotes& notes;
};
std::string text_of_told_notes(std::initializer_list<ToldTo> all);

}  // namespace replygate
