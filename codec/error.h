// Error, the one exception type of the library, and its codes: as programs see them. A tool turns the code into an exit status in one
// place.
#pragma once

#include "decant/decant.h"
