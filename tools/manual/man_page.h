// Manual pages in man(7), of the texts that --help is made of.
#pragma once

#include <string>

#include "tools/decant/options.h"

namespace decant::cli {

struct Edition {
    std::string version, date;  // "0.1.0", "2026-01-31"
};

std::string program_man_page(const Edition& edition);                       // decant.1
std::string verb_man_page(const VerbTexts& verb, const Edition& edition);  // decant-VERB.1

}  // namespace decant::cli
