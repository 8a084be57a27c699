{{- /*
The spec of an example's pod, as your own chart would write it. Call it with a dict: root (the root context), name,
command, env, restartPolicy, grace.
*/ -}}
{{- define "plano-sidecar.examplePod" -}}
{{- $isNative := include "plano-sidecar.isNative" .root -}}
{{- $values := .root.Values -}}
metadata:
  labels:
    {{- include "plano-sidecar.selector" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .name }}
    {{- include "plano-sidecar.podLabels" .root | nindent 4 }}
  {{- with include "plano-sidecar.podAnnotations" .root }}
  annotations:
    {{- . | nindent 4 }}
  {{- end }}
spec:
  {{- with get . "restartPolicy" }}
  restartPolicy: {{ . }}
  {{- end }}
  {{- with $values.example.serviceAccountName }}
  serviceAccountName: {{ . | quote }}
  {{- end }}
  # The sidecar needs no token; this app neither.
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ include "plano-sidecar.terminationGracePeriodSeconds" .root }}
  {{- with include "plano-sidecar.imagePullSecrets" .root }}
  imagePullSecrets:
    {{- . | nindent 4 }}
  {{- end }}
  {{- include "plano-sidecar.podSecurity" .root | nindent 2 }}
  {{- if $isNative }}
  initContainers:
    - {{- include "plano-sidecar.container" .root | nindent 6 }}
  {{- end }}
  containers:
    {{- if not $isNative }}
    # Before the app: the kubelet starts what follows once its postStart hook has ended.
    - {{- include "plano-sidecar.container" .root | nindent 6 }}
    {{- end }}
    - name: app
      image: {{ $values.example.image | quote }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      {{- with .command }}
      command:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      env:
        {{- include "plano-sidecar.appEnv" .root | nindent 8 }}
        {{- with get . "env" }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      resources:
        {{- toYaml $values.example.resources | nindent 8 }}
      {{- include "plano-sidecar.containerSecurity" .root | nindent 6 }}
  volumes:
    {{- include "plano-sidecar.volumes" .root | nindent 4 }}
{{- end }}
