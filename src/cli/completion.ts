import { Argument, type Command } from "commander";
import { usageError } from "./exit-codes.ts";
import { offline } from "./session.ts";

const SHELLS = ["bash", "zsh", "fish"] as const;
type Shell = (typeof SHELLS)[number];

/** What can follow one command: its subcommands, or its flags. */
interface Node {
  /** Words after `slots`, such as `token create`; empty for `slots` itself. */
  readonly path: string;
  readonly children: readonly { readonly name: string; readonly description: string }[];
  readonly flags: readonly {
    readonly long: string;
    readonly description: string;
    readonly takesValue: boolean;
    /** What its value may be; empty when it is anything. */
    readonly choices: readonly string[];
  }[];
}

export function addCompletion(program: Command): void {
  const command = program
    .command("completion")
    .description("Print a script that completes commands and flags in a shell.")
    .addArgument(new Argument("<SHELL>", SHELLS.join(", ")).choices(SHELLS))
    .addHelpText(
      "after",
      `
  bash: source <(slots completion bash)                 # in ~/.bashrc
  zsh:  source <(slots completion zsh)                  # in ~/.zshrc, after compinit
  fish: slots completion fish > ~/.config/fish/completions/slots.fish`,
    );
  offline<[Shell], object>(command, async (out, [shell]) => {
    const nodes = nodesOf(program, []);
    const write = { bash, zsh, fish }[shell];
    if (write === undefined) throw usageError(`SHELL must be one of ${SHELLS.join(", ")}`);
    out.line(write(nodes).trimEnd());
  });
}

function nodesOf(command: Command, path: readonly string[]): Node[] {
  const children = command.commands.map((child) => ({
    name: child.name(),
    description: sentence(child.description()),
  }));
  const flags = command.options.flatMap(({ long, description, required, optional, argChoices = [] }) =>
    long
      ? [{ long, description: sentence(description), takesValue: required || optional, choices: argChoices }]
      : [],
  );
  const own = { path: path.join(" "), children, flags: [...flags, HELP] };
  return [own, ...command.commands.flatMap((child) => nodesOf(child, [...path, child.name()]))];
}

const HELP = { long: "--help", description: "show help", takesValue: false, choices: [] };

/** The first sentence, without what shells would take for quotes or markup. */
function sentence(text: string): string {
  return text
    .replace(/(?:[.;:](?=\s|$)|\().*$/s, "")
    .replace(/['"`\\[\]$]/g, "")
    .trim();
}

function words({ children, flags }: Node): string {
  return [...children.map(({ name }) => name), ...flags.map(({ long }) => long)].join(" ");
}

/** Flags whose next word is their value, as a pattern of `case`. */
function valued(nodes: readonly Node[]): string {
  const flags = nodes.flatMap((node) => node.flags.filter(({ takesValue }) => takesValue));
  return [...new Set(flags.map(({ long }) => long)), "-f", "-o"].join("|");
}

/** Commands that have commands of their own, as a pattern of `case`. */
function groups(nodes: readonly Node[]): string {
  const paths = nodes.filter(({ children, path }) => children.length > 0 && path !== "");
  return paths.map(({ path }) => `"${path}"`).join("|");
}

/** Finds the command that the words so far name, skipping flags and their values. */
function bash(nodes: readonly Node[]): string {
  return `# slots completion for bash
_slots() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} path="" i word
  case "$prev" in
    --output) COMPREPLY=($(compgen -W "human json" -- "$cur")); return ;;
    ${valued(nodes)}) COMPREPLY=($(compgen -f -- "$cur")); return ;;
  esac
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case "$word" in
      ${valued(nodes)}) ((i++)) ;;
      -*) ;;
      *)
        case "$path" in
          "") path=$word ;;
          ${groups(nodes)}) path="$path $word" ;;
        esac ;;
    esac
  done
  case "$path" in
${nodes.map((node) => `    "${node.path}") COMPREPLY=($(compgen -W "${words(node)}" -- "$cur")) ;;`).join("\n")}
    *) COMPREPLY=($(compgen -f -- "$cur")) ;;
  esac
}
complete -o default -F _slots slots`;
}

/** For `source` and as a file on zsh's function path. */
function zsh(nodes: readonly Node[]): string {
  const quoted = (texts: readonly string[]) => texts.map((text) => `'${text}'`).join(" ");
  // A colon ends a field of these.
  const told = (description: string) => description.replaceAll(":", "\\:");
  const cases = nodes.map(({ path, children, flags }) => {
    const commands = children.map(({ name, description }) => `${name}:${told(description)}`);
    const specs = flags.map(({ long, description, takesValue, choices }) => {
      const value = choices.length > 0 ? `(${choices.join(" ")})` : "_files";
      return takesValue ? `${long}=[${told(description)}]:value:${value}` : `${long}[${told(description)}]`;
    });
    return `    "${path}")\n      commands=(${quoted(commands)})\n      flags=(${quoted(specs)}) ;;`;
  });
  return `#compdef slots
_slots() {
  local -a commands flags
  local verb="" word
  integer i
  for ((i = 2; i < CURRENT; i++)); do
    word=$words[i]
    case "$word" in
      ${valued(nodes)}) ((i++)) ;;
      -*) ;;
      *)
        case "$verb" in
          "") verb=$word ;;
          ${groups(nodes)}) verb="$verb $word" ;;
        esac ;;
    esac
  done
  case "$verb" in
${cases.join("\n")}
  esac
  if (( $#commands )) && [[ "$words[CURRENT]" != -* ]]; then
    _describe -t commands command commands
  else
    _arguments -S : $flags '*:file:_files'
  fi
}
if [[ "$funcstack[1]" == _slots ]]; then _slots "$@"; else compdef _slots slots; fi`;
}

function fish(nodes: readonly Node[]): string {
  const lines = ["# slots completion for fish", "complete -c slots -f"];
  for (const { path, children, flags } of nodes) {
    const [verb, sub] = path.split(" ");
    const condition =
      path === ""
        ? "__fish_use_subcommand"
        : sub === undefined
          ? `__fish_seen_subcommand_from ${verb}`
          : `__fish_seen_subcommand_from ${verb}; and __fish_seen_subcommand_from ${sub}`;
    for (const { name, description } of children) {
      lines.push(`complete -c slots -n '${condition}' -a ${name} -d '${description}'`);
    }
    for (const { long, description, takesValue } of flags) {
      const value = takesValue ? " -r -F" : "";
      lines.push(`complete -c slots -n '${condition}' -l ${long.slice(2)}${value} -d '${description}'`);
    }
  }
  return lines.join("\n");
}
