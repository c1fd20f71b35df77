#pragma once

#include <string_view>

#include "policy/remote/log_event.h"

// Where an attempt to deliver has taken a message, as its line tells it. Pure; any thread.
namespace replygate {

// Under which id the server that took it has the message, if it is one of ours; "" where the event does not tell.
std::string_view next_id_of(const LogEvent& event);

// Of "localhost[127.0.0.1]:10024", "[192.0.2.9] [192.0.2.9]"; "" without.
std::string_view address_of_relay(std::string_view relay);

bool is_this_host(std::string_view ip);

}  // namespace replygate
