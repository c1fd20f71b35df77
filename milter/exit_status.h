#pragma once

namespace replygate {

// Of the process, and of a command that the daemon carries out.
enum ExitStatus : int {
  kFine = 0,
  kFound = 1,  // a difference or a refusal was found
  kUsage = 64,
  kNoInput = 66,
  kUnavailable = 69,  // the daemon or a store cannot be reached, a socket cannot be opened
  kInternal = 70,
  kIoError = 74,   // what was printed could not be written
  kTryAgain = 75,  // to an MTA that runs it in an alias
  kPolicyError = 78,
};

}  // namespace replygate
