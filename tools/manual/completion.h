// Completion for shells, of the texts that --help is made of. Verbs, options, their words, the models at hand, and files.
#pragma once

#include <string>

namespace decant::cli {

std::string bash_completion();  // complete -F _decant
std::string zsh_completion();   // a #compdef file, _decant
std::string fish_completion();

}  // namespace decant::cli
