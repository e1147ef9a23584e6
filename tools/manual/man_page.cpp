#include "tools/manual/man_page.h"

#include <algorithm>

#include "tools/decant/text.h"

namespace decant::cli {
namespace {

// Text as man(7) takes it literally: hyphens that can be copied, no line that is a request.
std::string escaped(const std::string& text) {
    std::string result;
    bool line_begins = true;
    for (const char c : text) {
        if (line_begins && (c == '.' || c == '\'')) result += "\\&";
        line_begins = c == '\n';
        if (c == '\\')
            result += "\\e";
        else if (c == '-')
            result += "\\-";
        else
            result += c;
    }
    return result;
}

std::string upper_case(std::string text) {
    for (char& c : text)
        if (c >= 'a' && c <= 'z') c = char(c - 'a' + 'A');
    return text;
}

std::string head(const std::string& page, const std::string& summary, const Edition& edition) {
    return ".\\\" Made from the program's table of options.\n.TH " + upper_case(page) + " 1 " + edition.date + " \"decant " +
           edition.version + "\" \"User Commands\"\n.SH NAME\n" + escaped(page) + " \\- " + escaped(summary) + "\n";
}

// In lines of the length that man(7) asks for.
std::string running(const std::string& text) { return escaped(wrap(text, 70, 0)) + "\n"; }

// Paragraphs, which empty lines part.
std::string paragraphs(const std::string& text) {
    std::string result;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find("\n\n", begin), text.size());
        result += (result.empty() ? "" : ".PP\n") + running(text.substr(begin, end - begin));
        begin = end + 2;
    }
    return result;
}

std::string verbatim(const std::string& text) { return ".nf\n" + escaped(text) + ".fi\n"; }

std::string entry(const OptionText& option) {
    std::string flags = option.letter ? "\\fB\\-" + std::string(1, option.letter) + "\\fR, " : "";
    flags += "\\fB" + escaped("--" + option.name) + "\\fR";
    if (!option.argument.empty()) flags += " \\fI" + escaped(option.argument) + "\\fR";
    return ".TP\n" + flags + "\n" + running(option.meaning);
}

std::string exit_status() {
    std::string text = ".SH EXIT STATUS\n";
    for (const ExitCodeText& code : exit_code_texts()) text += ".TP\n.B " + std::to_string(code.code) + "\n" + escaped(code.meaning) + "\n";
    return text;
}

constexpr const char* kEnvironment =
    ".SH ENVIRONMENT\n.TP\n.B DECANT_MODELS\na folder in which models are looked for before all others\n";

}  // namespace

std::string program_man_page(const Edition& edition) {
    std::string page = head("decant", "learned image compression and denoising", edition);
    page += ".SH SYNOPSIS\n.B decant\n.I VERB\n[options] ...\n.SH DESCRIPTION\n";
    page += running("Encodes pictures as .dcn files and decodes them, takes noise out of pictures, measures, and trains models. "
                    "Each verb has a page of its own.") +
            ".SH VERBS\n";
    std::string others;
    for (const VerbTexts& verb : verb_texts()) {
        const std::string name = escaped("decant-" + verb.name);
        page += ".TP\n.BR " + name + " (1)\n" + escaped(verb.summary) + "\n";
        others += (others.empty() ? "" : ",\n") + (".BR " + name + " (1)");
    }
    page += ".SH OPTIONS\n" + entry({"help", "", 'h', "the verbs; behind a verb, its options"}) +
            entry({"version", "", 'V', "the version, the models and the engine"});
    page += exit_status() + kEnvironment;
    page += ".SH EXAMPLES\n" + verbatim(program_examples());
    return page + ".SH SEE ALSO\n" + others + "\n";
}

std::string verb_man_page(const VerbTexts& verb, const Edition& edition) {
    std::string page = head("decant-" + verb.name, verb.summary, edition);
    page += ".SH SYNOPSIS\n.B decant " + escaped(verb.name) + "\n" + escaped(verb.arguments) + "\n";
    page += ".SH DESCRIPTION\n" + paragraphs(verb.details) + ".SH OPTIONS\n";
    for (const OptionText& option : verb.options) page += entry(option);
    page += exit_status() + kEnvironment;
    return page + ".SH EXAMPLES\n" + verbatim(verb.examples) + ".SH SEE ALSO\n.BR decant (1)\n";
}

}  // namespace decant::cli
