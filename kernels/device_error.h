// Failures of a device that computes, for whoever may go on with another.
#pragma once

#include <stdexcept>
#include <string>

namespace longrope {

// A call to a device failed: what() names the call, its file and line, and the reason.
class DeviceError : public std::runtime_error {
 public:
  enum class Kind {
    kOutOfMemory,  // with less asked for it may work
    kLost,         // the device will answer no more calls of this process
    kOther,        // a mistake of the program, or a driver that does not fit
  };
  DeviceError(Kind kind, const std::string& what) : std::runtime_error(what), kind_(kind) {}
  Kind kind() const { return kind_; }

 private:
  Kind kind_;
};

}  // namespace longrope
