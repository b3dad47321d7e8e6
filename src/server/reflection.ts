import {
  create,
  type DescFile,
  type DescService,
  fromBinary,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { type ServerDuplexStream, status, type UntypedServiceImplementation } from "@grpc/grpc-js";
import {
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from "../../gen/ts/grpc/reflection/v1/reflection_pb.ts";

type Answer = ServerReflectionResponse["messageResponse"];
type ResponseInit = Exclude<
  MessageInitShape<typeof ServerReflectionResponseSchema>,
  ServerReflectionResponse
>;

/**
 * Server reflection, so that tools such as `buf curl` need no files of ours. v1 and v1alpha have the same
 * messages on the wire, so one implementation serves both.
 */
export class Reflection {
  readonly #services: readonly string[];
  readonly #files = new Map<string, DescFile>();
  readonly #fileOfSymbol = new Map<string, DescFile>();

  constructor(services: readonly DescService[]) {
    this.#services = services.map(({ typeName }) => typeName).sort();
    for (const { file } of services) this.#add(file);
  }

  /** `authenticate` rejects a caller that may not look. */
  implementation(
    authenticate: (call: ServerDuplexStream<Buffer, Buffer>) => Promise<void>,
  ): UntypedServiceImplementation {
    return {
      serverReflectionInfo: (call: ServerDuplexStream<Buffer, Buffer>) => {
        authenticate(call).then(
          () => this.#converse(call),
          (error: unknown) => call.emit("error", error),
        );
      },
    };
  }

  #converse(call: ServerDuplexStream<Buffer, Buffer>): void {
    call.on("data", (bytes: Buffer) => {
      try {
        const request = fromBinary(ServerReflectionRequestSchema, bytes);
        const response = create(ServerReflectionResponseSchema, {
          validHost: request.host,
          originalRequest: request,
          messageResponse: this.#answer(request),
        });
        call.write(Buffer.from(toBinary(ServerReflectionResponseSchema, response)));
      } catch {
        call.emit("error", { code: status.INVALID_ARGUMENT, details: "the request is not a valid message" });
      }
    });
    call.on("end", () => call.end());
  }

  #answer({ messageRequest: asked }: ServerReflectionRequest): Answer {
    switch (asked.case) {
      case "listServices": {
        const service = this.#services.map((name) => ({ name }));
        return created({ case: "listServicesResponse", value: { service } });
      }
      case "fileByFilename":
        return this.#file(this.#files.get(asked.value));
      case "fileContainingSymbol":
        return this.#file(this.#fileOfSymbol.get(asked.value));
      case "allExtensionNumbersOfType":
      case "fileContainingExtension":
      case undefined:
        return notFound();
      default:
        return asked satisfies never;
    }
  }

  #file(file: DescFile | undefined): Answer {
    if (file === undefined) return notFound();
    const fileDescriptorProto = [...withDependencies(file)].map((each) =>
      toBinary(FileDescriptorProtoSchema, each.proto),
    );
    return created({ case: "fileDescriptorResponse", value: { fileDescriptorProto } });
  }

  #add(root: DescFile): void {
    for (const file of withDependencies(root)) {
      this.#files.set(`${file.name}.proto`, file);
      for (const service of file.services) {
        this.#fileOfSymbol.set(service.typeName, file);
        for (const method of service.methods)
          this.#fileOfSymbol.set(`${service.typeName}.${method.name}`, file);
      }
      for (const message of file.messages) this.#fileOfSymbol.set(message.typeName, file);
      for (const each of file.enums) this.#fileOfSymbol.set(each.typeName, file);
    }
  }
}

function created(messageResponse: NonNullable<ResponseInit["messageResponse"]>): Answer {
  return create(ServerReflectionResponseSchema, { messageResponse }).messageResponse;
}

function notFound(): Answer {
  return created({
    case: "errorResponse",
    value: { errorCode: status.NOT_FOUND, errorMessage: "not known" },
  });
}

function withDependencies(root: DescFile, found = new Set<DescFile>()): Set<DescFile> {
  if (found.has(root)) return found;
  found.add(root);
  for (const file of root.dependencies) withDependencies(file, found);
  return found;
}
