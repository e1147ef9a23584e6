#include "tools/manual/completion.h"

#include <algorithm>
#include <string>
#include <vector>

#include "tools/decant/options.h"
#include "tools/decant/text.h"

namespace decant::cli {
namespace {

// What can stand for an argument.
enum class Kind { nothing, words, files, folders, models, free };

Kind kind_of(const OptionText& option) {
    const std::string& argument = option.argument;
    if (argument.empty() || argument.front() == '[') return Kind::nothing;  // a switch, or what follows may be an input
    if (argument.find('|') != argument.npos) return Kind::words;
    if (argument == "FILE" || argument == "RECIPE" || argument == "SPEC") return Kind::files;
    if (argument == "FOLDER") return Kind::folders;
    if (argument == "MODEL") return Kind::models;
    return Kind::free;
}

std::vector<std::string> words_of(const OptionText& option) { return split(option.argument, '|'); }

constexpr const char* kInputs[] = {"INPUT", "FILE...", "REFERENCE"};  // in the usage of verbs that take files

// What an argument without an option is.
Kind input_kind(const VerbTexts& verb) {
    const bool takes_inputs = std::any_of(std::begin(kInputs), std::end(kInputs),
                                          [&](const char* name) { return verb.arguments.find(name) != std::string::npos; });
    return takes_inputs ? Kind::files : Kind::nothing;
}
bool takes_dcn_files(const VerbTexts& verb) { return verb.name == "decode"; }

std::string join(const std::vector<std::string>& words, const std::string& between = " ") {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
    return text;
}

std::vector<std::string> flags_of(const OptionText& option) {
    std::vector<std::string> flags;
    if (option.letter) flags.push_back(std::string("-") + option.letter);
    flags.push_back("--" + option.name);
    return flags;
}

// The first clause of a meaning, for a list.
std::string brief(const std::string& meaning) { return meaning.substr(0, meaning.find_first_of(";:")); }

std::string single_quoted(const std::string& text) {
    std::string result = "'";
    for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return result + "'";
}

// The names in the line "models: photo, ..." of --version, which loads none of them.
constexpr const char* kListModels = "decant --version 2>/dev/null | sed -n 's/^models: //p' | tr -d ,";

}  // namespace

std::string bash_completion() {
    std::vector<std::string> verbs;
    std::string cases;
    for (const VerbTexts& verb : verb_texts()) {
        verbs.push_back(verb.name);
        std::vector<std::string> all;
        cases += "        " + verb.name + ")\n            case $previous in\n";
        for (const OptionText& option : verb.options) {
            const auto flags = flags_of(option);
            all.insert(all.end(), flags.begin(), flags.end());
            const std::string pattern = "                " + join(flags, "|") + ") ";
            switch (kind_of(option)) {
                case Kind::words: cases += pattern + "kind=words words='" + join(words_of(option)) + "' ;;\n"; break;
                case Kind::files: cases += pattern + "kind=files ;;\n"; break;
                case Kind::folders: cases += pattern + "kind=folders ;;\n"; break;
                case Kind::models: cases += pattern + "kind=models ;;\n"; break;
                case Kind::free: cases += pattern + "kind=free ;;\n"; break;
                case Kind::nothing: break;
            }
        }
        cases += "                *) kind=" + std::string(takes_dcn_files(verb) ? "dcn" : input_kind(verb) == Kind::files ? "files" : "free") + " ;;\n";
        cases += "            esac\n            options='" + join(all) + "' ;;\n";
    }
    return "# bash completion for decant, made from its table of options\n"
           "_decant() {\n"
           "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} verb=${COMP_WORDS[1]}\n"
           "    local kind options words='' found=()\n"
           "    COMPREPLY=()\n"
           "    if ((COMP_CWORD == 1)); then\n"
           "        mapfile -t COMPREPLY < <(compgen -W '" + join(verbs) + " --help --version' -- \"$current\")\n"
           "        return\n"
           "    fi\n"
           "    # Bash takes --format=png for three words.\n"
           "    if [[ $current == = ]]; then\n"
           "        current=''\n"
           "    elif [[ $previous == = ]]; then\n"
           "        previous=${COMP_WORDS[COMP_CWORD - 2]}\n"
           "    fi\n"
           "    case $verb in\n" + cases +
           "        *) return ;;\n"
           "    esac\n"
           "    if [[ $current == -?* ]]; then\n"
           "        mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$current\")\n"
           "        return\n"
           "    fi\n"
           "    case $kind in\n"
           "        words) mapfile -t found < <(compgen -W \"$words\" -- \"$current\") ;;\n"
           "        models) mapfile -t found < <(compgen -W \"$(" + std::string(kListModels) + ")\" -- \"$current\"; compgen -f -X '!*.safetensors' -- \"$current\"; compgen -d -- \"$current\") ;;\n"
           "        folders) mapfile -t found < <(compgen -d -- \"$current\") ;;\n"
           "        files) mapfile -t found < <(compgen -f -- \"$current\") ;;\n"
           "        dcn) mapfile -t found < <(compgen -f -X '!*.dcn' -- \"$current\"; compgen -d -- \"$current\") ;;\n"
           "    esac\n"
           "    # As file names: quoted where necessary, with a / behind folders.\n"
           "    if [[ $kind != words ]]; then compopt -o filenames 2>/dev/null; fi\n"
           "    COMPREPLY=(\"${found[@]}\")\n"
           "}\n"
           "complete -F _decant decant\n";
}

std::string zsh_completion() {
    // In a specification of _arguments, colons and brackets have a meaning.
    const auto plain_text = [](const std::string& text) {
        std::string result;
        for (const char c : text) result += c == ':' || c == '[' || c == ']' || c == '\\' ? std::string("\\") + c : std::string(1, c);
        return result;
    };
    const auto action = [](const OptionText& option) -> std::string {
        switch (kind_of(option)) {
            case Kind::words: return "(" + join(words_of(option)) + ")";
            case Kind::files: return "_files";
            case Kind::folders: return "_files -/";
            case Kind::models: return "_decant_models";
            default: return " ";
        }
    };
    std::string verbs, cases;
    for (const VerbTexts& verb : verb_texts()) {
        verbs += "        " + single_quoted(verb.name + ":" + plain_text(verb.summary)) + "\n";
        cases += "        " + verb.name + ") _arguments -s";
        for (const OptionText& option : verb.options) {
            const std::string argument =
                kind_of(option) == Kind::nothing ? "" : ":" + plain_text(option.argument) + ":" + action(option);
            for (const std::string& flag : flags_of(option))
                cases += " \\\n            " + single_quoted("*" + flag + "[" + plain_text(brief(option.meaning)) + "]" + argument);
        }
        if (takes_dcn_files(verb))
            cases += " \\\n            '*:file:_files -g \"*.dcn(-.)\"'";
        else if (input_kind(verb) == Kind::files)
            cases += " \\\n            '*:file:_files'";
        cases += " ;;\n";
    }
    return "#compdef decant\n# zsh completion for decant, made from its table of options\n"
           "_decant_models() {\n    local -a models=($(" + std::string(kListModels) + "))\n"
           "    compadd -a models\n    _files -g '*.safetensors(-.)'\n}\n"
           "_decant() {\n    local -a verbs=(\n" + verbs + "    )\n"
           "    if ((CURRENT == 2)); then\n        _describe verb verbs\n        return\n    fi\n"
           "    local verb=$words[2]\n    shift words\n    ((CURRENT--))\n"
           "    case $verb in\n" + cases + "    esac\n}\n_decant \"$@\"\n";
}

std::string fish_completion() {
    std::string text = "# fish completion for decant, made from its table of options\ncomplete -c decant -f\n";
    const std::string no_verb = "complete -c decant -n __fish_use_subcommand ";
    text += no_verb + "-s h -l help -d 'the verbs'\n" + no_verb + "-s V -l version -d 'the version, the models and the engine'\n";
    for (const VerbTexts& verb : verb_texts()) {
        text += no_verb + "-a " + verb.name + " -d " + single_quoted(verb.summary) + "\n";
        const std::string after_verb = "complete -c decant -n '__fish_seen_subcommand_from " + verb.name + "' ";
        if (takes_dcn_files(verb))
            text += after_verb + "-k -a '(__fish_complete_suffix .dcn)'\n";
        else if (input_kind(verb) == Kind::files)
            text += after_verb + "-F\n";
        for (const OptionText& option : verb.options) {
            text += after_verb + (option.letter ? std::string("-s ") + option.letter + " " : "") + "-l " + option.name;
            switch (kind_of(option)) {
                case Kind::words: text += " -x -a '" + join(words_of(option)) + "'"; break;
                case Kind::files: text += " -r -F"; break;
                case Kind::folders: text += " -x -a '(__fish_complete_directories)'"; break;
                case Kind::models: text += " -r -F -a " + single_quoted("(" + std::string(kListModels) + " | string split ' ')"); break;
                case Kind::free: text += " -x"; break;
                case Kind::nothing: break;
            }
            text += " -d " + single_quoted(brief(option.meaning)) + "\n";
        }
    }
    return text;
}

}  // namespace decant::cli
