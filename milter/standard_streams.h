#pragma once

namespace replygate {

// A closed stdout or stderr is not to become a file of ours. Before anything is opened.
void open_standard_streams();

// `status`, unless what was printed could not be written: what nobody can read was not done.
int written(int status);

}  // namespace replygate
