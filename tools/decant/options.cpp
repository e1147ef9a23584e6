#include "tools/decant/options.h"

#include <algorithm>
#include <array>
#include <boost/program_options.hpp>
#include <charconv>
#include <cmath>
#include <deque>
#include <limits>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <utility>
#include <variant>

#include "codec/error.h"
#include "tools/decant/json.h"
#include "tools/decant/text.h"

namespace decant::cli {
namespace {

namespace po = boost::program_options;

struct VerbText {
    Verb verb;
    const char *name, *arguments, *summary, *details, *examples;
};

constexpr std::array<VerbText, 11> kVerbs{{
    {Verb::encode, "encode", "[options] INPUT...", "pictures to .dcn files",
     "INPUT is a PNG, JPEG, WebP, TIFF, BMP, PPM or PGM file, a folder of such files, or - for standard input.\n"
     "Each result lies beside its input, unless -o or --output-dir says otherwise.\n",
     "  decant encode photo.png                              writes photo.dcn\n"
     "  decant encode -q 30 photo.jpg -o small.dcn           smaller, at a lower quality\n"
     "  decant encode --target-size 20K photo.png            at most 20,000 bytes, and not much less\n"
     "  decant encode --denoise --target-bpp 0.5 noisy.jpg   stores what is under the noise\n"
     "  decant encode -r pictures --output-dir archive       a tree of folders\n"
     "  decant encode -r pictures --output-dir archive --skip-existing --verify\n"
     "  decant encode - -o - <photo.png >photo.dcn           in a pipeline\n"},
    {Verb::decode, "decode", "[options] INPUT...", ".dcn files to pictures",
     "INPUT is a .dcn file, a folder of such files, or - for standard input.\n"
     "Each result lies beside its input, unless -o or --output-dir says otherwise.\n",
     "  decant decode photo.dcn                              writes photo.png\n"
     "  decant decode photo.dcn -o photo.tif                 the extension says which format\n"
     "  decant decode -r archive --output-dir pictures\n"
     "  decant decode photo.dcn --region 800x600+2000+1500 -o part.png\n"
     "  decant decode photo.dcn --preview 256 -o small.jpg\n"
     "  decant decode photo.dcn --format ppm -o - | other_program\n"},
    {Verb::denoise, "denoise", "[options] INPUT...", "noisy pictures to clean ones",
     "INPUT is a picture file, a folder of such files, or - for standard input. Photographs and scanned pages are told from each\n"
     "other, and the report says which model was taken. The noise level is estimated from place to place, unless --sigma gives it.\n"
     "The result of NAME.EXT is NAME.denoised.png beside it, or NAME.png in --output-dir, unless -o or\n"
     "--format says otherwise; in folders, files of such names are passed over.\n",
     "  decant denoise photo.jpg                             writes photo.denoised.png\n"
     "  decant denoise --strength 70 photo.jpg               keeps some of the grain\n"
     "  decant denoise --sigma 25 photo.png -o clean.png     a noise level that is known\n"
     "  decant denoise -m scan letter.png                    a page, whatever it looks like\n"
     "  decant denoise photo.tif -o clean.tif                16 bits a sample stay 16, unless --depth says otherwise\n"
     "  decant denoise -r scans --output-dir clean --json    the estimated levels, too\n"},
    {Verb::eval, "eval", "[options] INPUT...", "rate, quality and speed over pictures",
     "Encodes and decodes each picture in memory. Speed is wall clock time of the codec alone, in megapixels a second: the median of\n"
     "--repeats, after a run for each new shape of pictures that is not counted, unless it takes more than five seconds. Means are\n"
     "over pictures. Codecs of --against are measured in the same way; one whose library is missing is an error, before anything is\n"
     "measured.\n\n"
     "With --denoise it measures denoising, as decant denoise does it: INPUT are clean pictures, to which white Gaussian noise of\n"
     "each --sigma is added, rounded and clipped to 8 bits; or with --noisy they are the clean ones of pairs of files. What is "
     "told:\n"
     "the estimated level, PSNR and MS-SSIM of the noisy and of the denoised picture, the gain, and the speed after a run that\n"
     "is not counted, one for each new shape of pictures. --against nlm adds the same of OpenCV's non-local means, which is told\n"
     "the level of the noise, or of --noisy pictures the estimated one.\n\n"
     "--json prints one object: name, description and results, a list a kind of number with a value each quality: bpp, psnr-rgb,\n"
     "psnr-y (luma), ssim-rgb, ms-ssim-rgb, max-error, encoding_time, decoding_time (seconds), encoding_speed, decoding_speed (MP/s);\n"
     "pictures has the same for each picture, against for each codec of --against, and bd-rate is a list. Infinity is \"inf\".\n"
     "With --denoise the lists have a value each noise level: sigma, estimated-sigma, psnr-rgb-noisy, psnr-rgb, psnr-rgb-gain,\n"
     "ms-ssim-rgb-noisy, ms-ssim-rgb, megapixels_per_second, denoising_time, and nlm-psnr-rgb, nlm-ms-ssim-rgb,\n"
     "nlm-megapixels_per_second, nlm-denoising_time; pictures has the same lists for each picture, and against says how its\n"
     "non-local means are computed.\n",
     "  decant eval pictures                                 a table\n"
     "  decant eval -q 10,30,50,70,90 --json pictures >curve.json\n"
     "  decant eval -q 10,30,50,70,90 --against vtm.json pictures\n"
     "  decant eval --against jpeg,webp,avif,jxl --html report.html pictures\n"
     "  decant eval --output-dir seen pictures               keeps the decoded pictures\n"
     "  decant eval --denoise --against nlm pictures         noise of sigma 15, 25, 50 added and taken away\n"
     "  decant eval --denoise --sigma 10,30 --json pictures\n"
     "  decant eval --denoise --noisy camera reference       camera/a.jpg is the noisy picture of reference/a.png\n"},
    {Verb::compare, "compare", "[options] REFERENCE DISTORTED", "how far two pictures, or those of two folders, are apart",
     "Of each pair it tells PSNR over R, G and B together and of luma (BT.601), SSIM, MS-SSIM and the largest difference of two samples.\n"
     "In two folders, pictures with the same name belong together, whatever their extensions. In JSON the PSNR of equal pictures is the\n"
     "string \"inf\", and what tiny pictures have no value of is null.\n",
     "  decant compare photo.png decoded.png\n"
     "  decant compare -r pictures decoded --json\n"
     "  decant compare pictures decoded --html report.html   a page to look at them\n"},
    {Verb::info, "info", "[options] FILE...", "what a .dcn file, a model or a recipe holds",
     "FILE is a .dcn file, a model (.safetensors) or a recipe (.json): layers with their shapes, parameters and multiplications.\n",
     "  decant info photo.dcn\n"
     "  decant info models/photo.safetensors\n"
     "  decant info models/recipes/photo.json\n"},
    {Verb::train, "train", "[options] --data FOLDER --out MODEL", "a model of your own pictures",
     "Ctrl-C stops at a checkpoint; the same command goes on from there. With --export, a checkpoint of a training that was\n"
     "interrupted or goes on, here or on a GPU (tools/torch_train.py), becomes a model as it is.\n",
     "  decant train --data pictures --out mine.safetensors --steps 200000\n"
     "  decant train --data pictures --out fine.safetensors --from photo --rate 1e-4 --steps 20000\n"
     "  decant train --data pictures --out mine.safetensors --log mine.csv --html mine.html\n"
     "  decant train --data pictures --config small.json --search rates.json --out best.safetensors --html search.html\n"
     "  decant train --export --checkpoint mine.safetensors.checkpoint --out so_far.safetensors\n"
     "  decant encode -m ./mine.safetensors photo.png\n"},
    {Verb::embed, "embed", "[options] INPUT...", "what a model makes of pictures, as NumPy arrays",
     "Writes a .npy file a picture: of a codec the latents [height/16, width/16, channels], of an autoencoder its code, as 32-bit floats;\n"
     "with --pooled one vector. tools/find_duplicates.py finds pictures that are nearly the same by these.\n",
     "  decant embed --pooled 4 -r pictures --output-dir vectors\n"
     "  decant embed -m ./mine.safetensors photo.png -o code.npy\n"},
    {Verb::anomaly, "anomaly", "[options] INPUT...", "pictures that are not like the normal ones, and where",
     "With --learn it makes a model of the pictures in a folder, which are normal: an autoencoder is trained on them, or one that is\n"
     "given with -m is taken, and how its code and its errors are distributed is noted. With that model each INPUT gets a score; above 1,\n"
     "which few normal pictures reach, it is not normal. Heat maps show where.\n",
     "  decant anomaly --learn good --out normal.safetensors\n"
     "  decant anomaly -m ./normal.safetensors --output-dir maps new\n"
     "  decant anomaly -m ./normal.safetensors --json new/*.png\n"},
    {Verb::sample, "sample", "[options] -m MODEL -o FILE", "new pictures, drawn from a variational autoencoder",
     "Codes are drawn from a normal distribution and decoded, side by side in one picture.\n",
     "  decant train --config models/recipes/autoencoder-variational.json --data pictures --out mine.safetensors\n"
     "  decant sample -m ./mine.safetensors -o samples.png\n"},
    {Verb::models, "models", "[options]", "the models at hand",
     "Models are looked for in the folder that the environment variable DECANT_MODELS names, in the folder models beside the\n"
     "program, and in ../share/decant/models from there. None is ever fetched from a network.\n",
     "  decant models\n"
     "  DECANT_MODELS=$HOME/models decant models --json\n"},
}};

const VerbText& text_of(Verb verb) {
    return *std::find_if(kVerbs.begin(), kVerbs.end(), [&](const VerbText& text) { return text.verb == verb; });
}

constexpr unsigned bit(Verb verb) { return 1u << static_cast<unsigned>(verb); }
template <class... Verbs>
constexpr unsigned in(Verbs... verbs) {
    return (bit(verbs) | ...);
}

// Where an option's value goes. The type says how it is read.
using Target = std::variant<bool*, int*, std::optional<int>*, int64_t*, uint64_t*, uint32_t*, double*, ByteCount*, std::optional<Region>*, std::vector<double>*, std::optional<double>*,
                            std::optional<uint16_t>*, MetadataKinds*, std::string*, std::vector<Assignment>*>;

template <auto Member>
Target setting(Settings& settings) {
    return &(settings.*Member);
}
template <auto Member>
Target training(Settings& settings) {
    return &(settings.train.*Member);
}

constexpr const char* kAutomatic = "auto";  // in the place of a number that need not be given
constexpr const char* kNonlocalMeans = "nlm";  // what eval --denoise compares with
constexpr double kLosslessQuality = 80;  // of the picture below the residual: the smallest files, on photographs
constexpr double kUnlimited = std::numeric_limits<double>::infinity();

struct Range {
    double low = -kUnlimited, high = kUnlimited;
};

struct Option {
    const char* name;
    char letter;           // 0: none
    const char* argument;  // "": a switch. With bars: one of these words. In brackets: may be missing, and is "auto" then
    const char* meaning;
    Range range;
    const char* preset;  // the default in words, where the value in Settings does not say it
    unsigned verbs;
    Target (*target)(Settings&);
    const char* path = nullptr;  // of an option that is short for --set
    bool is_text = false;        // what is set there
};

// clang-format off
const Option kOptions[] = {
    {"output", 'o', "FILE", "output, for one input; - is standard output", {}, "the input's name with the new extension", in(Verb::encode, Verb::decode, Verb::denoise, Verb::embed), setting<&Settings::output>},
    {"output-dir", 0, "FOLDER", "folder for the outputs, made if necessary; below it, -r repeats the tree of the input", {}, "beside each input", in(Verb::encode, Verb::decode, Verb::denoise, Verb::embed), setting<&Settings::output_dir>},
    {"output-dir", 0, "FOLDER", "keep the decoded pictures there, as PNG; with --denoise the denoised ones, with added noise the _noisy ones, with --against the _nlm ones", {}, "they are not kept", in(Verb::eval), setting<&Settings::output_dir>},
    {"recursive", 'r', "", "look into the folders below a folder, too", {}, "off", in(Verb::encode, Verb::decode, Verb::denoise, Verb::eval, Verb::compare, Verb::embed, Verb::anomaly), setting<&Settings::recursive>},
    {"files-from", 0, "FILE", "further inputs, one a line, or with a 0 behind each (find -print0); - is standard input", {}, "none", in(Verb::encode, Verb::decode, Verb::denoise, Verb::eval, Verb::embed, Verb::anomaly), setting<&Settings::files_from>},
    {"force", 'f', "", "overwrite files that exist", {}, "off, they are left alone and reported", in(Verb::encode, Verb::decode, Verb::denoise, Verb::eval, Verb::compare, Verb::embed, Verb::sample), setting<&Settings::force>},
    {"skip-existing", 0, "", "pass over inputs whose output exists: resumes an interrupted batch", {}, "off", in(Verb::encode, Verb::decode, Verb::denoise, Verb::embed), setting<&Settings::skip_existing>},

    {"model", 'm', "MODEL", "name of a model at hand (see decant models), or a file", {}, "photo", in(Verb::encode, Verb::embed), setting<&Settings::model>},
    {"model", 'm', "MODEL", "name of a model at hand (see decant models), or a file", {}, "photo; with --denoise auto, as of decant denoise", in(Verb::eval), setting<&Settings::model>},
    {"model", 'm', "MODEL", "name of a model at hand (see decant models), or a file", {}, "the one that each file names", in(Verb::decode), setting<&Settings::model>},
    {"model", 'm', "MODEL", "auto, which tells pages from photographs, colour from gray; photo, gray or scan; another model at hand (see decant models), or a file", {}, "auto", in(Verb::denoise), setting<&Settings::model>},
    {"quality", 'q', "Q", "quality, continuous: higher is better and larger", {0, 100}, "", in(Verb::encode), setting<&Settings::quality>},
    {"quality", 'q', "Q,...", "qualities, each", {0, 100}, "50; with --against or --html 10,30,50,70,90", in(Verb::eval), setting<&Settings::qualities>},
    {"target-bpp", 0, "X", "quality such that the file has this many bits a pixel, or up to 1 % fewer", {0.001, 100}, "none, --quality", in(Verb::encode), setting<&Settings::target_bpp>},
    {"target-size", 0, "N[K,M]", "quality such that the file has this many bytes (thousands, millions), or up to 1 % fewer", {1, kUnlimited}, "none, --quality", in(Verb::encode), setting<&Settings::target_size>},
    {"target-psnr", 0, "DB", "quality such that the decoded picture has this PSNR, or up to 0.05 dB more; with --denoise against the denoised picture", {1, 99}, "none, --quality", in(Verb::encode), setting<&Settings::target_psnr>},
    {"lossless", 0, "", "the file gives back each sample as it is, of 8 or 16 bits; --quality is then of the picture that the rest is added to, 80 unless given", {}, "off", in(Verb::encode), setting<&Settings::lossless>},
    {"max-error", 0, "N", "the same, but samples may be off by up to N, of 255 or of 65535", {0, 65535}, "off", in(Verb::encode), setting<&Settings::max_error>},
    {"effort", 'e', "N", "encoder work, for smaller files of the same quality, and with --denoise the denoiser's, too; decoding does not depend on it", {1, 9}, "2; of the denoiser auto", in(Verb::encode, Verb::eval), setting<&Settings::effort>},
    {"effort", 'e', "auto or N", "work for cleaner pictures: from 3 on the network sees each in two positions, turned or mirrored, from 5 on in 4, from 7 on in 8, and the mean counts; so many times as long. auto: as many as make 2 megapixels together, large pictures once", {1, 9}, "", in(Verb::denoise), setting<&Settings::effort>},
    {"sigma", 0, "auto or S", "standard deviation of the noise, of samples of 0 to 255; auto estimates it, from place to place", {0, 255}, "", in(Verb::denoise), setting<&Settings::sigma>},
    {"strength", 0, "N", "percentage of the noise that is taken away; less keeps grain", {0, 100}, "", in(Verb::denoise), setting<&Settings::strength>},
    {"denoise", 0, "[auto or S]", "store the clean picture: takes the noise out first, as decant denoise does. Its standard deviation is S, of samples of 0 to 255; auto estimates it, from place to place", {0, 255}, "off; without a value auto", in(Verb::encode), setting<&Settings::sigma>},
    {"strength", 0, "N", "with --denoise: percentage of the noise that is taken away; less keeps grain", {0, 100}, "", in(Verb::encode), setting<&Settings::strength>},
    {"denoise-model", 0, "MODEL", "with --denoise: the denoising model, as --model of decant denoise", {}, "auto", in(Verb::encode), setting<&Settings::denoise_model>},
    {"denoise", 0, "", "measure denoising instead of compression", {}, "off", in(Verb::eval), setting<&Settings::denoise>},
    {"sigma", 0, "S,...", "with --denoise: standard deviations of the noise that is added, of samples of 0 to 255, each", {0, 255}, "", in(Verb::eval), setting<&Settings::sigmas>},
    {"seed", 0, "N", "with --denoise: start of the random numbers of the noise", {0, kUnlimited}, "", in(Verb::eval), setting<&Settings::seed>},
    {"noisy", 0, "FOLDER", "with --denoise: the noisy pictures, which belong to those of INPUT with the same names, whatever their extensions; one without a partner is a failure", {}, "none, noise is added", in(Verb::eval), setting<&Settings::noisy>},
    {"known-sigma", 0, "", "with --denoise: tell the denoiser the level of the noise that was added", {}, "off, it estimates the level", in(Verb::eval), setting<&Settings::known_sigma>},
    {"format", 0, "png|jpg|tif|webp|ppm", "format of the pictures", {}, "by the extension of --output, else png", in(Verb::decode, Verb::denoise), setting<&Settings::format>},
    {"depth", 0, "8|16", "bits a sample of the pictures that are written", {}, "as stored", in(Verb::decode, Verb::denoise), setting<&Settings::depth>},
    {"metadata", 0, "KINDS", "what is carried over: all, none, or some of icc,exif,xmp; orientation and resolution belong to exif", {}, "all", in(Verb::encode, Verb::decode, Verb::denoise), setting<&Settings::metadata>},
    {"region", 0, "WxH+X+Y", "only these pixels: width, height, left, top. No other part of the file is read or decoded", {}, "", in(Verb::decode), setting<&Settings::region>},
    {"preview", 0, "N", "a small picture, at most N pixels a side; up to 256 of large pictures it is in the file, and no other part is read", {1, 65535}, "off", in(Verb::decode), setting<&Settings::preview>},
    {"skip-if-larger", 0, "", "write nothing where the result is not smaller than its input", {}, "off", in(Verb::encode), setting<&Settings::skip_if_larger>},
    {"verify", 0, "", "decode the result twice before it is written, and compare; adds the PSNR to the report, with --denoise against the denoised picture", {}, "off", in(Verb::encode), setting<&Settings::verify>},
    {"against", 0, "LIST", "with commas between them: codecs that are measured on the same pictures in the same run (jpeg, jp2, webp, avif, heic, jxl), and files of the form of --json, such as published curves; gives the BD-rate against each. With --denoise nlm: OpenCV's non-local means", {}, "none", in(Verb::eval), setting<&Settings::against>},
    {"repeats", 0, "N", "runs of each encoding and decoding, of which the median time counts; after a second there are no more. One before them is not counted, unless it takes more than five seconds", {1, 1000}, "", in(Verb::eval), setting<&Settings::repeats>},
    {"butteraugli", 0, "", "measure Butteraugli as well, a perceptual distance (0: equal, about 1: just seen), through libjxl; takes longer than all else", {}, "off", in(Verb::eval, Verb::compare), setting<&Settings::butteraugli>},
    {"csv", 0, "FILE", "write a table with a line a codec, picture and quality; - is standard output", {}, "none", in(Verb::eval), setting<&Settings::csv>},
    {"html", 0, "FILE", "write a page with curves, tables and the pictures before and after; it needs no network", {}, "none", in(Verb::eval, Verb::compare), setting<&Settings::html>},

    {"pooled", 0, "N", "one vector in the place of an array: means of the values and of their magnitudes over N x N parts of the picture", {1, 64}, "off", in(Verb::embed), setting<&Settings::pooled>},
    {"decoded", 0, "", "write what the decoder of an autoencoder makes of the code, NAME.decoded.png, in the place of the code", {}, "off", in(Verb::embed), setting<&Settings::decoded>},
    {"learn", 0, "FOLDER", "make a model of the pictures in this folder, which are normal", {}, "none, score pictures", in(Verb::anomaly), setting<&Settings::learn>},
    {"out", 0, "MODEL", "with --learn: file for the model, NAME.safetensors", {}, "none, required", in(Verb::anomaly), setting<&Settings::trained_model>},
    {"model", 'm', "MODEL", "model that --learn made, name or file; with --learn: an autoencoder to begin with", {}, "none; with --learn one is trained", in(Verb::anomaly), setting<&Settings::model>},
    {"set", 0, "PATH=VALUE", "with --learn: change a value of recipes/autoencoder-anomaly.json, such as training.steps=1000. May be given again", {}, "none", in(Verb::anomaly), setting<&Settings::assignments>},
    {"output-dir", 0, "FOLDER", "folder for heat maps, made if necessary: the pictures in gray, red where they are not normal", {}, "none", in(Verb::anomaly), setting<&Settings::output_dir>},
    {"force", 'f', "", "overwrite files that exist", {}, "off", in(Verb::anomaly), setting<&Settings::force>},
    {"model", 'm', "MODEL", "variational autoencoder, name or file", {}, "none, required", in(Verb::sample), setting<&Settings::model>},
    {"output", 'o', "FILE", "the picture", {}, "none, required", in(Verb::sample), setting<&Settings::output>},
    {"count", 'n', "N", "samples", {1, 10000}, "", in(Verb::sample), setting<&Settings::count>},
    {"side", 0, "N", "pixels a side of each", {1, 4096}, "", in(Verb::sample), setting<&Settings::side>},
    {"seed", 0, "N", "start of the random numbers", {0, kUnlimited}, "", in(Verb::sample), setting<&Settings::seed>},
    {"out", 'o', "MODEL", "file for the model, NAME.safetensors", {}, "none, required", in(Verb::train), setting<&Settings::trained_model>},
    {"force", 'f', "", "overwrite a model that exists", {}, "off", in(Verb::train), setting<&Settings::force>},
    {"config", 0, "RECIPE", "JSON file with the description of the networks and, in \"training\", any of the values that options below change; with --from it may have only the latter", {}, "recipes/photo.json among the models", in(Verb::train), setting<&Settings::recipe>},
    {"from", 0, "MODEL", "fine-tune: start with the networks and weights of this model (name or file); a --config with networks of its own takes what has the same name and shape in both", {}, "none, begin anew", in(Verb::train), setting<&Settings::start_model>},
    {"checkpoint", 0, "FILE", "where the state is kept, and resumed from if it is there", {}, "MODEL.checkpoint, removed at the end", in(Verb::train), training<&TrainOptions::checkpoint>},
    {"export", 0, "", "make a model of --checkpoint as it is, without training", {}, "off", in(Verb::train), setting<&Settings::export_checkpoint>},
    {"fit-filter", 0, "N", "fit the filter behind the codec or denoiser --from on so many crops of 384x384 pixels of --data (1.8 MB of memory each), without training; --out is that model with the filter", {1, 100000}, "off", in(Verb::train), setting<&Settings::filter_crops>},
    {"log", 0, "FILE", "CSV with a line a second: step, time, learning rate, loss and figures, of validations too; a resumed training goes on with it", {}, "none", in(Verb::train), setting<&Settings::log>},
    {"html", 0, "FILE", "page with curves and held-out crops, written anew at each validation; a browser that shows it follows the training", {}, "none", in(Verb::train), setting<&Settings::html>},
    {"search", 0, "SPEC", "JSON file that says which values of the recipe to try (codec/train/search.h): a grid, at random, successive halving, Hyperband. Prints a table; --out is the best model, --log the table as CSV, --html a page with plots", {}, "none", in(Verb::train), setting<&Settings::search>},
    {"results", 0, "FILE", "with --search: a line of JSON a trial; those that are there are not repeated", {}, "MODEL.search.jsonl", in(Verb::train), setting<&Settings::results>},
    {"set", 0, "PATH=VALUE", "change a value of the recipe: training.rate=1e-4, or of a layer by its name, networks.denoise.layers.head.channels=48; * stands for every name. May be given again", {}, "none", in(Verb::train), setting<&Settings::assignments>},
    {"checkpoint-every", 0, "N", "steps between checkpoints", {1, kUnlimited}, "", in(Verb::train), training<&TrainOptions::checkpoint_every>},
    {"max-bytes", 0, "N", "of decoded pictures in memory; what exceeds it is left out", {1, kUnlimited}, "4294967296 (4 GiB)", in(Verb::train), training<&TrainOptions::max_bytes>},

    {"threads", 't', "N", "threads in all; 0 is one a core. Results do not depend on it", {0, 1024}, "", in(Verb::encode, Verb::decode, Verb::denoise, Verb::eval, Verb::embed, Verb::anomaly, Verb::sample), setting<&Settings::threads>},
    {"max-pixels", 0, "N", "larger pictures are refused before memory is taken for them", {1, kUnlimited}, "268435456 (2^28)", in(Verb::encode, Verb::decode, Verb::denoise, Verb::eval, Verb::compare, Verb::embed, Verb::anomaly), setting<&Settings::max_pixels>},
    {"max-memory", 0, "N[M,G]", "bounds what is in flight: threads, and pictures in memory; a picture that does not fit is refused. PNG and PPM files go through row by row", {1, kUnlimited}, "2G", in(Verb::encode, Verb::decode, Verb::denoise, Verb::embed), setting<&Settings::max_memory>},
    {"dry-run", 'n', "", "only say what would be written where", {}, "off", in(Verb::encode, Verb::decode, Verb::denoise, Verb::embed), setting<&Settings::dry_run>},
    {"fail-fast", 0, "", "stop at the first file that fails", {}, "off, the others are done", in(Verb::encode, Verb::decode, Verb::denoise, Verb::embed), setting<&Settings::fail_fast>},
    {"json", 0, "", "one object a file on standard output", {}, "off", in(Verb::encode, Verb::decode, Verb::denoise, Verb::compare, Verb::info, Verb::models, Verb::embed, Verb::anomaly), setting<&Settings::json>},
    {"json", 0, "", "one report on standard output, a value a quality or noise level", {}, "off", in(Verb::eval), setting<&Settings::json>},
    {"progress", 0, "auto|always|never", "progress on standard error; auto: if it is a terminal", {}, "", in(Verb::encode, Verb::decode, Verb::denoise, Verb::eval, Verb::train, Verb::embed, Verb::anomaly), setting<&Settings::progress>},
    {"quiet", 0, "", "no words but errors", {}, "off", in(Verb::encode, Verb::decode, Verb::denoise, Verb::eval, Verb::train, Verb::embed, Verb::anomaly), setting<&Settings::quiet>},
    {"verbose", 'v', "", "a line for each file", {}, "off", in(Verb::encode, Verb::decode, Verb::denoise, Verb::embed), setting<&Settings::verbose>},
};
// clang-format on

// The values of a recipe's "training", each as an option of its own.
const std::vector<Option>& training_options() {
    static std::deque<std::string> texts;
    const auto keep = [](std::string text) { return texts.emplace_back(std::move(text)).c_str(); };
    static const std::vector<Option> options = [&] {
        std::vector<Option> result;
        for (const TrainingField& field : training_fields()) {
            std::string name = field.key;
            std::replace(name.begin(), name.end(), '_', '-');
            const std::string argument = field.argument(), preset = field.preset();
            const bool is_number = argument == "N" || argument == "X";
            const Range range = is_number ? Range{field.low, field.high >= 0x1p53 ? kUnlimited : field.high} : Range{};
            result.push_back({keep(name), 0, keep(argument), field.meaning, range, keep(preset.empty() ? "none" : preset), in(Verb::train),
                              setting<&Settings::assignments>, keep(std::string("training.") + field.key), !is_number && argument != "true|false"});
        }
        return result;
    }();
    return options;
}

std::vector<const Option*> options_of(Verb verb) {
    std::vector<const Option*> result;
    for (const Option& option : kOptions)
        if (option.verbs & bit(verb)) result.push_back(&option);
    if (verb == Verb::train)
        for (const Option& option : training_options()) result.push_back(&option);
    return result;
}

bool may_lack_argument(const Option& option) { return *option.argument == '['; }
bool is_switch(const Option& option) { return *option.argument == 0; }

std::vector<std::string> choices_of(const Option& option) {
    const std::string_view argument = option.argument;
    return argument.find('|') == argument.npos ? std::vector<std::string>{} : split(argument, '|');
}

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorCode::invalid_argument, what); }

std::string range_text(const Range& range) {
    if (range.low == -kUnlimited) return "";
    return range.high == kUnlimited ? "at least " + plain(range.low) : plain(range.low) + " to " + plain(range.high);
}

template <class Number>
Number parse_number(const Option& option, std::string_view text) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    // Written so that "nan", which is a number to from_chars, is out of every range.
    const bool is_good = error == std::errc{} && end == text.data() + text.size() &&
                         static_cast<double>(value) >= option.range.low && static_cast<double>(value) <= option.range.high &&
                         std::isfinite(static_cast<double>(value));
    if (!is_good)
        refuse("--" + std::string(option.name) + " " + std::string(text) + ": a" +
               (std::is_integral_v<Number> ? " whole number, " : " number, ") + range_text(option.range) + ", is needed");
    return value;
}

// As X11 and ImageMagick write them: 800x600+100+50, width, height, left, top.
Region parse_region(const Option& option, const std::string& text) {
    std::array<uint32_t, 4> numbers{};
    const char *at = text.data(), *end = at + text.size();
    bool is_good = true;
    for (size_t i = 0; i < numbers.size() && is_good; ++i) {
        if (i > 0) is_good = at != end && *at++ == "0x++"[i];
        const auto [next, error] = std::from_chars(at, end, numbers[i]);
        is_good = is_good && error == std::errc{};
        at = next;
    }
    if (!is_good || at != end || numbers[0] == 0 || numbers[1] == 0)
        refuse("--" + std::string(option.name) + " " + text + ": width, height, left and top are needed, such as 800x600+100+50");
    return {numbers[2], numbers[3], numbers[0], numbers[1]};
}

// A number of bytes, with a decimal unit: 500, 20K, 1.5M, 2G.
uint64_t parse_bytes(const Option& option, const std::string& text) {
    const char unit = text.empty() ? '\0' : text.back();
    const double factor = unit == 'K' ? 1e3 : unit == 'M' ? 1e6 : unit == 'G' ? 1e9 : 1.0;
    double number = 0;
    const char* last = text.data() + text.size() - (factor == 1.0 ? 0 : 1);
    const auto [end, error] = std::from_chars(text.data(), last, number);
    const double bytes = std::floor(number * factor + 0.5);
    if (error != std::errc{} || end != last || !(bytes >= option.range.low && bytes <= 0x1p53))
        refuse("--" + std::string(option.name) + " " + text + ": a number of bytes, " + range_text(option.range) +
               ", is needed; K, M and G behind it mean thousands, millions and billions");
    return static_cast<uint64_t>(bytes);
}

void set(const Option& option, const std::string& text, Settings& settings) {
    std::visit(
        [&]<class T>(T* target) {
            if constexpr (std::is_same_v<T, bool>) {
                *target = true;
            } else if constexpr (std::is_same_v<T, std::string>) {
                const auto choices = choices_of(option);
                if (!choices.empty() && std::find(choices.begin(), choices.end(), text) == choices.end())
                    refuse("--" + std::string(option.name) + " " + text + ": one of " + option.argument + " is needed");
                if (text.empty()) refuse("--" + std::string(option.name) + ": the name is empty");
                *target = text;
            } else if constexpr (std::is_same_v<T, std::vector<Assignment>>) {
                const std::string origin = std::string("--") + option.name + " " + text;
                if (option.path != nullptr) {
                    target->push_back({option.path, option.is_text ? Json(text).dump() : text, origin});
                    return;
                }
                const size_t equals = text.find('=');
                if (equals == text.npos) refuse(origin + ": PATH=VALUE is needed, such as training.rate=1e-4");
                target->push_back({text.substr(0, equals), text.substr(equals + 1), origin});
            } else if constexpr (std::is_same_v<T, std::optional<double>> || std::is_same_v<T, std::optional<int>>) {
                *target = text == kAutomatic ? T{} : T{parse_number<typename T::value_type>(option, text)};
            } else if constexpr (std::is_same_v<T, MetadataKinds>) {
                try {
                    *target = parse_metadata_kinds(text);
                } catch (const Error& error) {
                    refuse("--metadata " + std::string(error.what()));
                }
            } else if constexpr (std::is_same_v<T, ByteCount>) {
                target->value = parse_bytes(option, text);
            } else if constexpr (std::is_same_v<T, std::optional<uint16_t>>) {
                *target = static_cast<uint16_t>(parse_number<int>(option, text));
            } else if constexpr (std::is_same_v<T, std::optional<Region>>) {
                *target = parse_region(option, text);
            } else if constexpr (std::is_same_v<T, std::vector<double>>) {
                target->clear();
                for (const std::string& part : split(text, ',')) target->push_back(parse_number<double>(option, part));
            } else {
                *target = parse_number<T>(option, text);
            }
        },
        option.target(settings));
}

std::string join(const std::vector<double>& values) {
    std::string text;
    for (const double value : values) text += (text.empty() ? "" : ",") + plain(value);
    return text;
}

std::string default_text(const Option& option) {
    if (*option.preset != 0) return option.preset;
    Settings defaults;
    return std::visit(
        []<class T>(const T* value) -> std::string {
            if constexpr (std::is_same_v<T, std::string>)
                return *value;
            else if constexpr (std::is_same_v<T, std::vector<double>>)
                return join(*value);
            else if constexpr (std::is_same_v<T, std::vector<Assignment>>)
                return "none";
            else if constexpr (std::is_same_v<T, std::optional<double>> || std::is_same_v<T, std::optional<int>>)
                return *value ? plain(**value) : kAutomatic;
            else if constexpr (std::is_same_v<T, MetadataKinds>)
                return "all";
            else if constexpr (std::is_same_v<T, std::optional<uint16_t>>)
                return "none";
            else if constexpr (std::is_same_v<T, std::optional<Region>>)
                return "all of it";
            else if constexpr (std::is_same_v<T, ByteCount>)
                return plain(static_cast<double>(value->value));
            else
                return plain(static_cast<double>(*value));
        },
        option.target(defaults));
}

std::string help_entry(const std::string& flags, const std::string& text) {
    constexpr size_t kIndent = 30, kWidth = 110;
    std::string entry = "  " + flags;
    if (entry.size() + 2 > kIndent)
        entry += "\n" + std::string(kIndent, ' ');
    else
        entry.resize(kIndent, ' ');
    return entry + wrap(text, kWidth - kIndent, kIndent) + "\n";
}

// Those of the table, and the two that each verb has.
std::vector<OptionText> option_texts(Verb verb) {
    std::vector<OptionText> texts;
    for (const Option* option : options_of(verb)) {
        const std::string range = range_text(option->range);
        texts.push_back({option->name, option->argument, option->letter,
                         std::string(option->meaning) + (range.empty() ? "" : "; " + range) + "; default: " + default_text(*option)});
    }
    texts.push_back({"help", "", 'h', "what this verb does, and its options"});
    texts.push_back({"version", "", 'V', "version, models and engine"});
    return texts;
}

std::string help_entry(const OptionText& option) {
    std::string flags = option.letter ? std::string("-") + option.letter + ", " : "    ";
    flags += "--" + option.name;
    if (!option.argument.empty()) flags += " " + option.argument;
    return help_entry(flags, option.meaning);
}

constexpr std::array<ExitCodeText, 6> kExitCodes{{{0, "all done, or skipped as asked"},
                                                  {1, "a file failed, the others were done"},
                                                  {2, "usage"},
                                                  {3, "no input matched"},
                                                  {4, "a damaged .dcn file, a missing model, or a failed --verify"},
                                                  {130, "interrupted"}}};

std::optional<Verb> verb_named(const std::string& name) {
    for (const VerbText& text : kVerbs)
        if (name == text.name) return text.verb;
    return std::nullopt;
}

bool is_automatic_or_number(const std::string& text) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return text == kAutomatic || (error == std::errc{} && end == text.data() + text.size());
}

// "--denoise" becomes "--denoise=auto" and "--denoise 25" "--denoise=25", so that Boost need not guess. What follows and is neither
// "auto" nor a number is no argument, but an input, as "./25" is.
std::vector<std::string> with_missing_arguments(Verb verb, const std::vector<std::string>& arguments) {
    const auto options = options_of(verb);
    const auto lacks_argument = [&](const std::string& text) {
        return std::any_of(options.begin(), options.end(), [&](const Option* option) {
            return may_lack_argument(*option) && text == std::string("--") + option->name;
        });
    };
    const auto last = std::find(arguments.begin(), arguments.end(), "--") - arguments.begin();  // what follows are inputs
    std::vector<std::string> result;
    for (size_t i = 0; i < arguments.size(); ++i) {
        result.push_back(arguments[i]);
        if (std::cmp_greater_equal(i, last) || !lacks_argument(arguments[i])) continue;
        const bool has_value = i + 1 < arguments.size() && is_automatic_or_number(arguments[i + 1]);
        result.back() += std::string("=") + (has_value ? arguments[++i] : kAutomatic);
    }
    return result;
}

// The options and arguments in the order in which they came. Errors of Boost become ours.
std::vector<po::option> parse_with_boost(Verb verb, const std::vector<std::string>& arguments) {
    po::options_description known;
    const auto add = [&](const Option& option) {
        const std::string name = std::string(option.name) + (option.letter ? std::string(",") + option.letter : "");
        if (is_switch(option))
            known.add_options()(name.c_str(), "");
        else
            known.add_options()(name.c_str(), po::value<std::string>(), "");
    };
    for (const Option* option : options_of(verb)) add(*option);
    known.add_options()("help,h", "")("version,V", "")("input", po::value<std::vector<std::string>>(), "");
    po::positional_options_description positions;
    positions.add("input", -1);
    using namespace po::command_line_style;
    constexpr int kStyle = allow_long | long_allow_adjacent | long_allow_next | allow_short | allow_dash_for_short |
                           short_allow_adjacent | short_allow_next | allow_sticky;
    try {
        return po::command_line_parser(with_missing_arguments(verb, arguments)).options(known).positional(positions).style(kStyle).run().options;
    } catch (const po::error& error) {
        const std::string name = text_of(verb).name;
        refuse(name + ": " + error.what() + "; decant " + name + " --help lists the options");
    }
}

struct Relation {
    Verb verb;
    const char *option, *other;
};
constexpr Relation kNeeds[] = {{Verb::encode, "strength", "denoise"},
                               {Verb::encode, "denoise-model", "denoise"},
                               {Verb::train, "results", "search"},
                               {Verb::eval, "sigma", "denoise"},
                               {Verb::eval, "seed", "denoise"},
                               {Verb::eval, "noisy", "denoise"},
                               {Verb::eval, "known-sigma", "denoise"},
                               {Verb::anomaly, "out", "learn"},
                               {Verb::anomaly, "set", "learn"}};
constexpr Relation kExclusions[] = {{Verb::encode, "lossless", "max-error"},
                                    {Verb::encode, "lossless", "target-bpp"},
                                    {Verb::encode, "lossless", "target-size"},
                                    {Verb::encode, "lossless", "target-psnr"},
                                    {Verb::encode, "max-error", "target-bpp"},
                                    {Verb::encode, "max-error", "target-size"},
                                    {Verb::encode, "max-error", "target-psnr"},
                                    {Verb::embed, "decoded", "pooled"},
                                    {Verb::decode, "region", "preview"},
                                    {Verb::anomaly, "learn", "output-dir"},
                                    {Verb::train, "search", "export"},
                                    {Verb::train, "search", "checkpoint"},
                                    {Verb::eval, "quality", "denoise"},
                                    {Verb::eval, "repeats", "denoise"},
                                    {Verb::eval, "butteraugli", "denoise"},
                                    {Verb::eval, "csv", "denoise"},
                                    {Verb::eval, "html", "denoise"},
                                    {Verb::eval, "sigma", "noisy"},
                                    {Verb::eval, "seed", "noisy"},
                                    {Verb::eval, "known-sigma", "noisy"}};

// given: the names of the options on the command line.
void check_relations(Verb verb, const std::set<std::string>& given) {
    const std::string name = text_of(verb).name;
    for (const Relation& need : kNeeds)
        if (need.verb == verb && given.contains(need.option) && !given.contains(need.other))
            refuse(name + ": --" + need.option + " goes with --" + need.other + " only");
    for (const Relation& exclusion : kExclusions)
        if (exclusion.verb == verb && given.contains(exclusion.option) && given.contains(exclusion.other))
            refuse(name + ": --" + exclusion.option + " and --" + exclusion.other + " exclude each other");
}

void check_together(Verb verb, const Settings& s) {
    const std::string name = text_of(verb).name;
    if (!s.output.empty() && !s.output_dir.empty()) refuse(name + ": --output and --output-dir exclude each other");
    if (s.json && s.output == "-") refuse(name + ": --json and --output - would mix on standard output");
    if (s.quiet && s.verbose) refuse(name + ": --quiet and --verbose exclude each other");
    const bool takes_inputs =
        verb == Verb::encode || verb == Verb::decode || verb == Verb::denoise || verb == Verb::eval || verb == Verb::info || verb == Verb::embed ||
        (verb == Verb::anomaly && s.learn.empty());
    if (takes_inputs && s.inputs.empty() && s.files_from.empty())
        refuse(name + ": no input is given; usage: decant " + name + " " + text_of(verb).arguments);
    if (verb == Verb::compare && s.inputs.size() != 2)
        refuse("compare: two pictures or two folders are needed, " + std::to_string(s.inputs.size()) + " given");
    if ((verb == Verb::train || verb == Verb::models || verb == Verb::sample || (verb == Verb::anomaly && !s.learn.empty())) && !s.inputs.empty())
        refuse(name + ": takes no argument without an option, \"" + s.inputs.front() + "\" is given");
    if (s.denoise && !s.against.empty() && s.against != kNonlocalMeans)
        refuse("eval: --denoise compares with --against nlm, not with \"" + s.against + "\"");
    if (verb == Verb::eval && !s.denoise && !s.against.empty() && s.qualities.size() < 2)
        refuse("eval: --against compares curves; give two or more qualities, better four, such as -q 10,30,50,70,90");
    if (verb == Verb::anomaly && !s.learn.empty() && s.trained_model.empty()) refuse("anomaly: --learn needs --out MODEL");
    if (verb == Verb::anomaly && s.learn.empty() && s.model.empty()) refuse("anomaly: -m MODEL is needed, one that decant anomaly --learn made");
    if (verb == Verb::sample && (s.model.empty() || s.output.empty())) refuse("sample: --model and --output are needed");
    if (s.export_checkpoint) {
        if (s.train.checkpoint.empty() || s.trained_model.empty()) refuse("train: --export needs --checkpoint and --out");
        if (!s.assignments.empty() || !s.start_model.empty() || !s.recipe.empty())
            refuse("train: --export takes everything from the checkpoint; --data, --from, --config and values of a recipe do not go with it");
    } else if (s.filter_crops > 0) {
        if (s.start_model.empty() || s.trained_model.empty()) refuse("train: --fit-filter needs --from and --out");
    } else if (verb == Verb::train && s.trained_model.empty())
        refuse("train: --out is needed; usage: decant train " + std::string(text_of(verb).arguments));
}

}  // namespace

CommandLine parse_command_line(const std::vector<std::string>& arguments) {
    CommandLine line;
    if (arguments.empty()) refuse("no verb is given; decant --help lists them");
    const std::string& first = arguments.front();
    if (first == "-h" || first == "--help") {
        line.action = CommandLine::Action::help;
        return line;
    }
    if (first == "-V" || first == "--version") {
        line.action = CommandLine::Action::version;
        return line;
    }
    const auto verb = verb_named(first);
    if (!verb) refuse("\"" + first + "\" is no verb; decant --help lists them");
    line.verb = *verb;
    line.has_verb = true;

    const auto options = options_of(line.verb);
    std::set<std::string> given;
    std::string rate_option;  // of those that say how large a file becomes
    for (const po::option& parsed : parse_with_boost(line.verb, {arguments.begin() + 1, arguments.end()})) {
        if (parsed.string_key == "help" || parsed.string_key == "version") {
            line.action = parsed.string_key == "help" ? CommandLine::Action::help : CommandLine::Action::version;
            return line;
        }
        if (parsed.string_key == "input") {
            line.settings.inputs.insert(line.settings.inputs.end(), parsed.value.begin(), parsed.value.end());
            continue;
        }
        // Boost gives a short option its long name.
        const auto option =
            std::find_if(options.begin(), options.end(), [&](const Option* o) { return o->name == parsed.string_key; });
        if (option == options.end()) throw Error(ErrorCode::internal, "option --" + parsed.string_key + " is not in the table");
        if (parsed.string_key == "quality" || parsed.string_key.starts_with("target-")) {
            if (!rate_option.empty() && rate_option != parsed.string_key)
                refuse(text_of(line.verb).name + std::string(": --") + rate_option + " and --" + parsed.string_key +
                       " exclude each other");
            rate_option = parsed.string_key;
        }
        given.insert(parsed.string_key);
        set(**option, parsed.value.empty() ? "" : parsed.value.front(), line.settings);
    }
    line.settings.denoise = given.contains("denoise");
    line.settings.max_error = line.settings.lossless ? std::optional<uint16_t>(0) : line.settings.max_error;
    if (line.settings.max_error && !given.contains("quality")) line.settings.quality = kLosslessQuality;
    check_relations(line.verb, given);
    // A single point is no curve.
    const bool is_curve = !line.settings.against.empty() || !line.settings.html.empty();
    if (line.verb == Verb::eval && is_curve && !given.contains("quality")) line.settings.qualities = {10, 30, 50, 70, 90};
    check_together(line.verb, line.settings);
    return line;
}

std::string program_help() {
    std::string help = "decant: learned image compression and denoising for x86 CPUs\n\nUsage: decant VERB [options] ...\n\n";
    for (const VerbText& text : kVerbs) help += "  " + left(text.name, 10) + text.summary + "\n";
    help += "\ndecant VERB --help lists the options of a verb. -V, --version names the version, the models and the engine.\n\n";
    std::string codes;
    for (const ExitCodeText& text : kExitCodes) codes += (codes.empty() ? "Exit codes: " : "; ") + std::to_string(text.code) + " " + text.meaning;
    return help + wrap(codes + ".", 110, 0) + "\n\nExamples:\n" + program_examples();
}

std::string verb_help(Verb verb) {
    const VerbText& text = text_of(verb);
    std::string help = std::string("decant ") + text.name + ": " + text.summary + "\n\nUsage: decant " + text.name + " " +
                       text.arguments + "\n\n" + text.details + "\nOptions:\n";
    for (const OptionText& option : option_texts(verb)) help += help_entry(option);
    return help + "\nExamples:\n" + text.examples;
}

std::vector<VerbTexts> verb_texts() {
    std::vector<VerbTexts> texts;
    for (const VerbText& text : kVerbs)
        texts.push_back({text.name, text.arguments, text.summary, text.details, text.examples, option_texts(text.verb)});
    return texts;
}

const char* program_examples() {
    return "  decant encode photo.png                 writes photo.dcn\n"
           "  decant decode photo.dcn -o back.png\n"
           "  decant denoise noisy.jpg                writes noisy.denoised.png\n"
           "  decant eval -q 30,50,70 pictures        rate, quality and speed\n";
}

std::span<const ExitCodeText> exit_code_texts() { return kExitCodes; }

}  // namespace decant::cli
