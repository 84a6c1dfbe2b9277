// SPDX-License-Identifier: Apache-2.0
#include "cli/completion/scripts.h"

namespace cocoon::cli {
namespace {

// COMP_WORDBREAKS holds '=' and ':', so bash has cut words that we see as one: they are put
// together again before the question, and what bash regards as done is cut from the answers.
constexpr std::string_view kBash = R"(# bash completion for cocoon
_cocoon() {
    local line=${COMP_LINE:0:COMP_POINT}
    local words=() word
    read -r -a words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    local current=${words[${#words[@]}-1]}
    local typed=${COMP_WORDS[COMP_CWORD]}
    [[ $typed == "=" || $typed == ":" ]] && typed=""
    local done=${current%"$typed"}
    local answer
    answer=$("${words[0]}" __complete "${words[@]:1}" 2>/dev/null) || return
    COMPREPLY=()
    while IFS= read -r word; do
        case $word in
            :files) compopt -o filenames 2>/dev/null
                while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$typed") ;;
            :dirs) compopt -o filenames 2>/dev/null
                while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -d -- "$typed") ;;
            :*) ;;
            *) word=${word%%$'\t'*}
                COMPREPLY+=("${word#"$done"}") ;;
        esac
    done <<<"$answer"
}
complete -F _cocoon cocoon
)";

constexpr std::string_view kZsh = R"(#compdef cocoon
_cocoon() {
    local -a lines described
    local line value help
    lines=("${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    for line in $lines; do
        case $line in
            :files) _files ;;
            :dirs) _files -/ ;;
            :*) ;;
            *$'\t'*) value=${line%%$'\t'*}; help=${line#*$'\t'}
                described+=("${value//:/\\:}:$help") ;;
            ?*) described+=("${line//:/\\:}") ;;
        esac
    done
    (( $#described )) && _describe -V 'cocoon' described
    return 0
}
if [ "$funcstack[1]" = "_cocoon" ]; then
    _cocoon "$@"
else
    compdef _cocoon cocoon
fi
)";

constexpr std::string_view kFish = R"(# fish completion for cocoon
function __cocoon_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    for line in (command $words[1] __complete $words[2..-1] "$typed" 2>/dev/null)
        switch $line
            case ':files'
                __fish_complete_path "$typed"
            case ':dirs'
                __fish_complete_directories "$typed"
            case ':*'
            case '*'
                echo $line
        end
    end
end
complete -c cocoon -f -a '(__cocoon_complete)'
)";

}  // namespace

std::optional<std::string_view> completion_script(std::string_view shell) {
  if (shell == "bash") return kBash;
  if (shell == "zsh") return kZsh;
  if (shell == "fish") return kFish;
  return std::nullopt;
}

}  // namespace cocoon::cli
