// Where decant is installed, to find what belongs to it. Nothing is known beforehand but how the folders lie to each other
// (packaging/install.cmake), so that an installed tree may be moved.
#pragma once

#include <string>
#include <vector>

namespace decant {

// Where modules are (codec/image/shared_module.h): beside the running program, or beside libdecant.so if this code is in there, as after
// a build; and in the folder for modules of the same installation. Throws Error(unsupported) where the system does not tell.
std::vector<std::string> module_folders();

// Where models are, in this order: $DECANT_MODELS, models beside the program or the library, share/decant/models of the same installation.
std::vector<std::string> model_folders();

}  // namespace decant
